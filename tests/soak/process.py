"""The proxy and the sandbox as processes of their own, and load at a steady rate."""

import asyncio
import base64
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from proxy.settings import Settings, load_settings
from proxy.store import Store, open_store
from proxy.store.options import store_options
from tests.cli.test_processes import command, until
from tests.conftest import ROOT
from tests.stores import ENGINES

ADMIN_TOKEN: Final = "soak-admin-token-0123456789"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True, slots=True)
class Host:
    """A running proxy with all that it needs."""

    url: str
    admin_url: str
    pid: int
    folder: Path
    settings: Settings = field(repr=False)
    environ: dict[str, str] = field(repr=False)
    http: aiohttp.ClientSession = field(repr=False)

    @property
    def mappings(self) -> Path:
        return self.folder / "mappings"

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The proxy's store, opened by this process too."""
        keys = [key.get_secret_value() for key in self.settings.secret_keys]
        options = store_options(self.settings, os.environ)
        async with open_store(options, keys) as store:
            yield store


@asynccontextmanager
async def hosted(**environ: str) -> AsyncIterator[Host]:
    """A proxy with a legacy server, on a fresh folder with the default mappings."""
    with tempfile.TemporaryDirectory(prefix="michiq-soak-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "mappings", folder / "mappings")
        async with command(folder, "sandbox", "--ports", "0", "0", "0") as systems:
            api, chat, legacy = re.findall(r"http://127\.0\.0\.1:\d+", await until(systems, "Ctrl+C"))
            settings = _settings(folder, api, chat, legacy) | await ENGINES.environ(folder) | environ
            async with (
                command(folder, "serve", **settings) as process,
                aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(limit=0)) as http,
            ):
                listening = json.loads((await until(process, '"listening"')).splitlines()[-1])
                drained = asyncio.create_task(_drained(process.stdout), name="drain-log")
                yield Host(
                    url=listening["url"],
                    admin_url=listening["admin"],
                    pid=process.pid,
                    folder=folder,
                    settings=load_settings(settings, None),
                    environ=settings,
                    http=http,
                )
                drained.cancel()


async def steadily(rate: float, count: int, call: Callable[[int], Awaitable[None]]) -> None:
    """Begins `count` calls at `rate` a second, whether or not earlier ones have been answered."""
    loop = asyncio.get_running_loop()
    started, running = loop.time(), set[asyncio.Task[None]]()
    for number in range(count):
        await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
        task = asyncio.ensure_future(call(number))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)


@asynccontextmanager
async def timed(times: list[float]) -> AsyncIterator[None]:
    """Adds the block's seconds to `times`."""
    started = time.perf_counter()
    yield
    times.append(time.perf_counter() - started)


def percentile(times: list[float], percent: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def _drained(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(64 * 1024):
        pass


def _settings(folder: Path, api: str, chat: str, legacy: str) -> dict[str, str]:
    return {
        "MICHIQ_SECRET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_TOKENS": f"soak:{ADMIN_TOKEN}",
        "MICHIQ_MAPPINGS": str(folder / "mappings"),
        "MICHIQ_LLAMALITICA_API_URL": api,
        "MICHIQ_LLAMALITICA_WEB_URL": api,
        "MICHIQ_LLAMACHAT_URL": chat,
        "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
        "MICHIQ_LEGACY_URL": legacy,
        "MICHIQ_WEBHOOK_SECRETS": "sandbox-webhook-secret",
    }
