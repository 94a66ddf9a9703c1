"""A running proxy before raw servers, with budgets that end within a second."""

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast
from unittest.mock import patch

import aiohttp
from cryptography.fernet import Fernet

from proxy.sandbox import Sandbox
from proxy.upstream import llamachat, llamalitica
from proxy.upstream.call import Budget
from proxy.web.service import Running, running
from tests.cli.test_processes import command, until
from tests.conftest import ROOT, Api, Clock, edited_table, settings_for
from tests.stores import ENGINES

# For a call in all, and for a silence within its answer.
TOTAL: Final = 1.0
SILENCE: Final = 0.8


@contextmanager
def hurried(total: float = TOTAL, silence: float = SILENCE) -> Iterator[None]:
    """Gives all calls to the new systems these budgets, instead of up to a quarter of an hour."""
    budget = Budget(total=total, connect=total, read=silence)
    constants = [(llamalitica, "_ME"), (llamalitica, "_CREATE")]
    constants += [(llamachat, name) for name in ("_START", "_SEND", "_TRANSCRIBE")]
    patches = [patch.object(module, name, budget) for module, name in constants]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


@asynccontextmanager
async def facing(
    folder: Path,
    platform: str,
    chat: str,
    edit: dict[str, Callable[[str], str]] | None = None,
    **environ: str,
) -> AsyncIterator[Api]:
    """A proxy; `edit` changes mapping texts. Its `sandbox` is none."""
    environ = {"MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(), **environ}
    settings = settings_for(folder, platform, chat, **await ENGINES.environ(folder), **environ)
    table, clock = edited_table(folder / "mappings", edit or {}), Clock()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        running(settings, table, clock) as proxy,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        yield Api(proxy, cast("Sandbox", None), http, clock)


@asynccontextmanager
async def serving(folder: Path, platform: str, chat: str) -> AsyncIterator[Api]:
    """The same in a process of its own; only its address is known."""
    settings = {
        **await ENGINES.environ(folder),
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(),
        "MICHIQ_MAPPINGS": str(ROOT / "mappings"),
        "MICHIQ_LLAMALITICA_API_URL": platform,
        "MICHIQ_LLAMALITICA_WEB_URL": platform,
        "MICHIQ_LLAMACHAT_URL": chat,
        "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
    }
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        command(folder, "serve", **settings) as process,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        url = json.loads((await until(process, '"listening"')).splitlines()[-1])["url"]
        read = asyncio.create_task(_read(process), name="read-log")
        # Its parts are out of reach, in another process.
        proxy = cast("Running", SimpleNamespace(url=url))
        yield Api(proxy, cast("Sandbox", None), http, Clock())
        read.cancel()


async def _read(process: Process) -> None:
    assert process.stdout
    while await process.stdout.read(64 * 1024):
        pass
