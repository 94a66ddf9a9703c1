"""A running proxy before raw servers, with budgets that end within a second."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, cast
from unittest.mock import patch

import aiohttp
from cryptography.fernet import Fernet

from proxy.sandbox import Sandbox
from proxy.upstream import llamachat, llamalitica
from proxy.upstream.call import Budget
from proxy.web.server import running
from tests.conftest import Api, Clock, edited_table, settings_for

# For a call in all, and for a silence within its answer.
TOTAL: Final = 1.0
SILENCE: Final = 0.8


@contextmanager
def hurried(total: float = TOTAL, silence: float = SILENCE) -> Iterator[None]:
    """All calls to the new systems have these budgets, instead of up to a quarter of an hour."""
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
async def facing(folder: Path, platform: str, chat: str, **environ: str) -> AsyncIterator[Api]:
    """A proxy with the default mappings; its `sandbox` is none."""
    environ = {"MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(), **environ}
    settings = settings_for(folder, platform, chat, **environ)
    table, clock = edited_table(folder / "mappings", {}), Clock()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        running(settings, table, clock) as proxy,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        yield Api(proxy, cast("Sandbox", None), http, clock)
