"""Debian's tinyproxy as a hospital's outbound proxy."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

USER: Final = "ana"
PASSWORD: Final = "s3cret-of-ana"
NEEDED: Final = pytest.mark.skipif(shutil.which("tinyproxy") is None, reason="needs Debian's tinyproxy")


@dataclass(frozen=True, slots=True)
class Tinyproxy:
    """A running tinyproxy: its address and its log."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def tunnels(self) -> int:
        """Returns the number of tunnels that clients asked for."""
        return self.log.read_text().count("): CONNECT ")


@asynccontextmanager
async def tinyproxy(folder: Path) -> AsyncIterator[Tinyproxy]:
    """Runs a tinyproxy that asks for a name and a password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config, log = folder / "tinyproxy.conf", folder / "tinyproxy.log"
    config.write_text(
        f'Port {port}\nListen 127.0.0.1\nTimeout 30\nMaxClients 50\nLogLevel Connect\nLogFile "{log}"\n'
        f"BasicAuth {USER} {PASSWORD}\n"
    )
    process = await asyncio.create_subprocess_exec("tinyproxy", "-d", "-c", str(config))
    try:
        await _listening(port)
        yield Tinyproxy(port, log)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)
