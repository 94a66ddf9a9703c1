"""Replicas as real processes, what they need, and what tells whether they are ready."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from proxy.postgresql_url import parse_postgresql_url
from proxy.sandbox import Sandbox
from tests.conftest import ROOT
from tests.postgresql import free_port
from tests.replicas.links import Link
from tests.seaweedfs import CREDENTIALS

ADMIN_TOKEN: Final = "replicas-admin-token-0123456789"
_SECONDS: Final = 90.0
_PORTS: Final = (8080, 8081)  # in a namespace of its own


@dataclass
class Replica:
    """One `michiq-proxy serve`; `link` is None where it shares the network of this process."""

    number: int
    link: Link | None
    ports: tuple[int, int]
    folder: Path
    process: Process | None = None
    stopped: bool = False
    held_down: bool = False

    @property
    def host(self) -> str:
        return self.link.address if self.link else "127.0.0.1"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.ports[0]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.ports[1]}"

    @property
    def log(self) -> Path:
        return self.folder / f"replica-{self.number}.log"


def replica(number: int, folder: Path, *, own_network: bool) -> Replica:
    ports = _PORTS if own_network else (free_port(), free_port())
    return Replica(number, Link(number) if own_network else None, ports, folder)


@dataclass
class Site:
    """The replicas, what is around them, and the address that clients call.

    `code` is the folder of the release that is started next.
    """

    folder: Path
    sandbox: Sandbox
    replicas: Sequence[Replica]
    database_url: str
    blobs_url: str
    http: aiohttp.ClientSession = field(repr=False)
    url: str = ""
    code: Path = ROOT
    key: str = field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    started: list[float] = field(default_factory=list)

    @property
    def database(self) -> str:
        """Returns the name of the database."""
        return parse_postgresql_url(self.database_url).database

    async def start(self, one: Replica) -> None:
        """Starts a replica, whether or not it can be ready soon."""
        one.held_down = False
        inside = one.link.command if one.link else lambda *arguments: [*arguments]
        with one.log.open("ab") as log:
            one.process = await asyncio.create_subprocess_exec(
                *inside(sys.executable, "-m", "proxy", "serve"),
                cwd=self.folder,
                env=self.environ(one),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def until_ready(self, one: Replica, seconds: float = _SECONDS) -> None:
        """Waits until a replica is ready; one that ended by itself meanwhile is started again.

        A service manager would do so, too: it can't start while its database is away.
        """
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while not await self.is_ready(one):
                assert one.process is not None
                if one.process.returncode is not None and not one.held_down:
                    await self.start(one)
                await asyncio.sleep(0.1)
        self.started.append(time.monotonic() - began)

    async def until_all_ready(self, seconds: float = _SECONDS) -> None:
        await asyncio.gather(*(self.until_ready(each, seconds) for each in self.replicas))

    async def is_ready(self, one: Replica) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(2), self.http.get(f"{one.admin_url}/readyz") as response:
                return response.status == 200
        return False

    async def kill(self, one: Replica) -> None:
        """Ends a replica as by a loss of power; only `start` starts it again."""
        assert one.process is not None
        one.held_down = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        await one.process.wait()

    async def end(self, one: Replica) -> int:
        """Lets a replica end in order, and returns its exit code."""
        assert one.process is not None
        one.held_down = True
        with contextlib.suppress(ProcessLookupError):
            one.process.terminate()
        return await one.process.wait()

    def stop(self, one: Replica) -> None:
        """Stops a replica in the middle of whatever it does."""
        assert one.process is not None
        one.stopped = True
        one.process.send_signal(signal.SIGSTOP)

    def go_on(self, one: Replica) -> None:
        assert one.process is not None
        one.stopped = False
        one.process.send_signal(signal.SIGCONT)

    async def admin(self, one: Replica, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Returns an answer of a replica's admin API."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **more.pop("headers", {})}
        url = f"{one.admin_url}/admin/v1{path}"
        async with asyncio.timeout(20), self.http.request(method, url, headers=headers, **more) as response:
            return response.status, json.loads(await response.read())

    async def command(self, *arguments: str, code: Path | None = None) -> tuple[int, str]:
        """Runs another command of the proxy on this store; returns its exit code and output."""
        environ = {**self.environ(self.replicas[0]), "PYTHONPATH": str(code or self.code)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", *arguments),
            cwd=self.folder,
            env=environ,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, (out + err).decode()

    def environ(self, one: Replica) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
        return {**own, "PYTHONPATH": str(self.code), **CREDENTIALS, **self._settings(one)}

    def _settings(self, one: Replica) -> dict[str, str]:
        everywhere = "0.0.0.0" if one.link else "127.0.0.1"
        return {
            "MICHIQ_WORKERS": "1",
            "MICHIQ_SECRET_KEYS": self.key,
            "MICHIQ_LISTEN": f"{everywhere}:{one.ports[0]}",
            "MICHIQ_ADMIN_LISTEN": f"{everywhere}:{one.ports[1]}",
            "MICHIQ_ADMIN_TOKENS": f"operator:{ADMIN_TOKEN}",
            "MICHIQ_DATABASE_URL": self.database_url,
            "MICHIQ_BLOBS_URL": self.blobs_url,
            "MICHIQ_LLAMALITICA_API_URL": self.sandbox.llamalitica.url,
            "MICHIQ_LLAMALITICA_WEB_URL": self.sandbox.llamalitica.url,
            "MICHIQ_LLAMACHAT_URL": self.sandbox.llamachat.url,
            "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
            "MICHIQ_LEGACY_URL": self.sandbox.michiq.url,
            "MICHIQ_WEBHOOK_SECRETS": "sandbox-webhook-secret",
            "MICHIQ_DRAIN_SECONDS": "5",
            "TMPDIR": str(self.folder),
        }

    async def end_all(self) -> None:
        for one in self.replicas:
            if one.process is not None:
                if one.stopped:
                    self.go_on(one)
                await self.kill(one)


@asynccontextmanager
async def nginx(folder: Path, replicas: Sequence[Replica]) -> AsyncIterator[str]:
    """Runs nginx as shipped in front of the replicas, and yields its address."""
    address, line = f"127.0.0.1:{free_port()}", "server {} max_fails=1 fail_timeout=5s;"
    text = (ROOT / "docker" / "nginx.conf").read_text()
    for there, here in {
        "listen 8080;": f"listen {address};",
        line.format("proxy:8080"): "\n".join(line.format(each.address) for each in replicas),
        "/etc/nginx/replicas/": f"{folder}/replicas/",
        "/tmp/": f"{folder}/nginx-",
    }.items():
        assert there in text, there
        text = text.replace(there, here)
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    more = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    with (folder / "nginx.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *("nginx", "-e", "stderr", "-c", str(configuration), "-g", more), stdout=log, stderr=log
        )
    try:
        yield f"http://{address}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
