"""A proxy in a process of its own, all that it prints, its memory, and how long its loop is held."""

import asyncio
import base64
import os
import re
import secrets
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from tests.conftest import IDENTITY, ROOT, case_form
from tests.hostile.heartbeat import beats

CHAT_KEY: Final = "sandbox-chat-key"
_SECONDS: Final = 60.0
_TAIL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Site:
    """A running proxy: its port, and a session with a token and a case."""

    sandbox: Sandbox
    folder: Path
    process: Process = field(repr=False)
    port: int
    admin_port: int
    token: str = field(repr=False)
    case: str

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def printed(self) -> bytes:
        return self._out.read_bytes() + self._err.read_bytes()

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    @property
    def _err(self) -> Path:
        return self.folder / "err"

    def memory(self, counter: str) -> int:
        """`VmRSS`, or `VmHWM` for the most there ever was; in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{counter}:\s+(\d+) kB", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    def held(self, start: float, end: float) -> float:
        """The longest that an answer of /healthz was waited for in this time of the machine's clock."""
        return max(
            (took for at, took in beats(self.folder / "beats") if at + took >= start and at <= end),
            default=0.0,
        )


@asynccontextmanager
async def standing(**environ: str) -> AsyncIterator[Site]:
    """A proxy by itself, in front of a sandbox in this process."""
    with tempfile.TemporaryDirectory(prefix="michiq-hostile-") as name:
        folder = Path(name)
        async with run_sandbox(SandboxConfig()) as sandbox:
            settings = _settings(folder, sandbox) | environ
            with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "proxy", "serve"),
                    cwd=folder, env=_environ(settings), stdin=DEVNULL, stdout=out, stderr=err,
                )  # fmt: skip
            try:
                yield await _settled(sandbox, folder, process)
            finally:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()


@asynccontextmanager
async def beating(site: Site) -> AsyncIterator[None]:
    """`site.held` has figures of the time in the block."""
    with (site.folder / "beats").open("wb") as listing:
        heart = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.hostile.heartbeat", str(site.admin_port)),
            cwd=ROOT, stdin=DEVNULL, stdout=listing,
        )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS):
            while not (site.folder / "beats").stat().st_size:  # noqa: ASYNC110  it is another process
                await asyncio.sleep(0.01)
        yield
        await asyncio.sleep(_TAIL_SECONDS)
    finally:
        if heart.returncode is None:
            heart.terminate()
        await heart.wait()


async def _settled(sandbox: Sandbox, folder: Path, process: Process) -> Site:
    async with asyncio.timeout(_SECONDS):
        while (
            found := re.search(rb'"url":"http://[^"]*:(\d+)","admin":"[^"]*:(\d+)"', _read(folder))
        ) is None:
            assert process.returncode is None
            await asyncio.sleep(0.05)
    url = f"http://127.0.0.1:{int(found[1])}/michiQ/newCase"
    async with aiohttp.ClientSession() as http, http.post(url, data=case_form(), headers=IDENTITY) as answer:
        made = await answer.json()
    return Site(sandbox, folder, process, int(found[1]), int(found[2]), made["token"], made["michiq_uuid"])


def _read(folder: Path) -> bytes:
    return (folder / "out").read_bytes()


def _environ(settings: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
    return {**inherited, "PYTHONPATH": str(ROOT), **settings}


def _settings(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    return {
        "MICHIQ_SECRET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_DATABASE_URL": f"sqlite:///{folder}/michiq.db",
        "MICHIQ_BLOBS_URL": f"file:{folder}/blobs",
        "MICHIQ_LLAMALITICA_API_URL": sandbox.llamalitica.url,
        "MICHIQ_LLAMALITICA_WEB_URL": sandbox.llamalitica.url,
        "MICHIQ_LLAMACHAT_URL": sandbox.llamachat.url,
        "MICHIQ_LLAMACHAT_API_KEY": CHAT_KEY,
        "MICHIQ_WEBHOOK_SECRETS": "sandbox-webhook-secret",
    }
