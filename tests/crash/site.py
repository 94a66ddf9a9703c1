"""A proxy in a process that is killed and started again on the same state, at the same addresses."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.store import Store, open_store
from tests.conftest import ROOT
from tests.crash.nursery import Born, Nursery
from tests.stores import ENGINES

ADMIN_TOKEN: Final = "crash-admin-token-0123456789"
_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02
# The platform tries again until the proxy is there again.
_RETRIES: Final = (0.1,) * 600


@dataclass
class Site:
    """State, addresses, and the process that serves there at the moment; `key` is the setting, all keys."""

    folder: Path
    sandbox: Sandbox
    http: aiohttp.ClientSession
    key: str
    ports: tuple[int, int]
    process: Process | Born | None = None
    nursery: Nursery | None = None
    ready: list[float] = field(default_factory=list)
    stored: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"

    @property
    def database(self) -> Path:
        return self.folder / "michiq.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def arm(self, trap: str) -> None:
        # By another name first: a file that is half written names no point.
        new = self.folder / "trap.new"
        new.write_text(trap)
        new.rename(self.folder / "trap")

    def disarm(self) -> None:
        (self.folder / "trap").unlink(missing_ok=True)

    async def start(self, *, plain: bool = False) -> bool:
        """Starts the proxy, with or without traps, and waits until it is ready; False when it dies first."""
        began = time.monotonic()
        self.process = await (self._exec(plain=plain) if plain or not self.nursery else self.nursery.start())
        if not await self._is_ready(self.process):
            return False
        self.ready.append(time.monotonic() - began)
        return True

    async def _exec(self, *, plain: bool) -> Process:
        arguments = ("proxy", "serve") if plain else ("tests.crash.serve", str(self.folder / "trap"))
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *arguments),
                cwd=self.folder,
                env=self.environ(),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def gone(self) -> None:
        """Waits until the process was killed, as it was to be."""
        assert self.process
        async with asyncio.timeout(_SECONDS):
            code = await self.process.wait()
        assert code == -signal.SIGKILL, f"it ended with {code}"
        self.disarm()
        await ENGINES.pass_lease(self.folder)

    def kill(self) -> None:
        assert self.process
        self.process.kill()

    def stop(self) -> None:
        assert self.process
        self.process.terminate()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The proxy's store, opened by this process too."""
        async with open_store(await ENGINES.options(self.folder), self.key.split(",")) as store:
            yield store

    async def get(self, path: str, **headers: str) -> Any:
        """The JSON of an answer of the admin listener."""
        async with self.http.get(f"{self.admin_url}{path}", headers=headers) as response:
            return json.loads(await response.read())

    async def _is_ready(self, process: Process | Born) -> bool:
        async with asyncio.timeout(_SECONDS):
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with self.http.get(f"{self.admin_url}/readyz") as response:
                        if response.status == 200:
                            return True
                await asyncio.sleep(_POLL_SECONDS)
        return False

    async def command(self, *arguments: str) -> Process:
        """Another command of the proxy, on the same settings; its output is to be read."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", *arguments),
            cwd=self.folder,
            env=self.environ(),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )

    def environ(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
        return {**own, "PYTHONPATH": str(ROOT), **self._settings()}

    def _settings(self) -> dict[str, str]:
        return {
            "MICHIQ_SECRET_KEYS": self.key,
            "MICHIQ_LISTEN": f"127.0.0.1:{self.ports[0]}",
            "MICHIQ_ADMIN_LISTEN": f"127.0.0.1:{self.ports[1]}",
            "MICHIQ_ADMIN_TOKENS": f"crash:{ADMIN_TOKEN}",
            "MICHIQ_DATABASE_URL": f"sqlite:///{self.database}",
            "MICHIQ_BLOBS_URL": f"file:{self.folder}/blobs",
            **self.stored,
            "MICHIQ_LLAMALITICA_API_URL": self.sandbox.llamalitica.url,
            "MICHIQ_LLAMALITICA_WEB_URL": self.sandbox.llamalitica.url,
            "MICHIQ_LLAMACHAT_URL": self.sandbox.llamachat.url,
            "MICHIQ_LLAMACHAT_API_KEY": self.sandbox.llamachat.config.chat_keys["michiq-proxy"],
            "MICHIQ_WEBHOOK_SECRETS": "sandbox-webhook-secret",
            "MICHIQ_DRAIN_SECONDS": "3",
            "TMPDIR": str(self.folder),
        }


@asynccontextmanager
async def sited(folder: Path, config: SandboxConfig | None = None) -> AsyncIterator[Site]:
    """A site in front of a sandbox that is in this process and sees what truly arrives; nothing runs yet."""
    connections = aiohttp.TCPConnector(force_close=True, limit=0)
    async with (
        run_sandbox(replace(config or SandboxConfig(), webhook_retries=_RETRIES)) as sandbox,
        aiohttp.ClientSession(connector=connections, timeout=aiohttp.ClientTimeout(total=_SECONDS)) as http,
    ):
        site = Site(folder, sandbox, http, _key(), (_free_port(), _free_port()))
        site.stored = await ENGINES.environ(folder)
        sandbox.llamalitica.webhook_url = f"{site.url}/webhooks/llamalitica"
        try:
            yield site
        finally:
            sandbox.llamalitica.webhook_url = None
            # Whatever happened: its workers and commands too, and a child of a nursery that has gone already.
            await _end_all(folder)
            if site.process is not None:
                await site.process.wait()


def another(site: Site, folder: Path) -> Site:
    """The same addresses and systems, with a state of its own."""
    folder.mkdir()
    return Site(folder, site.sandbox, site.http, site.key, (_free_port(), _free_port()))


async def _end_all(folder: Path) -> None:
    async with asyncio.timeout(_SECONDS):
        while left := started_in(folder):  # one may be born meanwhile
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_POLL_SECONDS)


def started_in(folder: Path) -> list[int]:
    """The processes that run on the settings of a site in this folder, or below it."""
    settings = [f"\0TMPDIR={folder}{end}".encode() for end in ("/", "\0")]
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # One that ends has none any more, and another user's is not shown.
        with contextlib.suppress(OSError):
            environ = b"\0" + path.read_bytes()
            if any(each in environ for each in settings):
                found.append(int(path.parent.name))
    return found


def alive(session: int) -> list[int]:
    """The processes that are left of a process that led its own session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
