"""Debian's nginx with the shipped configuration, in front of a server that tells what it got."""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from tests.docker.tools import tool

CONFIGURATION: Final = Path(__file__).parents[2] / "docker/nginx.conf"


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx; its logs are whole once it has stopped."""

    host: str
    port: int
    stdout: Path
    stderr: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


RunNginx: TypeAlias = Callable[[str], AbstractAsyncContextManager[Nginx]]


@pytest.fixture
def run_nginx(tmp_path: Path) -> RunNginx:
    """Start nginx in front of `host:port`."""
    program = tool("nginx")

    @asynccontextmanager
    async def run(upstream: str) -> AsyncIterator[Nginx]:
        # nginx takes over a socket that already listens, so nobody has to wait until it is up.
        with socket.create_server(("127.0.0.1", 0)) as listening:
            host, port = listening.getsockname()
            nginx = Nginx(host, port, tmp_path / "stdout", tmp_path / "stderr")
            arguments = ["-e", "stderr", "-c", str(_configured(tmp_path, nginx, upstream)), "-g", _globals()]
            with nginx.stdout.open("wb") as out, nginx.stderr.open("wb") as err:
                process = await asyncio.create_subprocess_exec(
                    program,
                    *arguments,
                    stdout=out,
                    stderr=err,
                    pass_fds=[listening.fileno()],
                    env={**os.environ, "NGINX": f"{listening.fileno()};"},
                )
        try:
            yield nginx
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 10)

    return run


def _configured(folder: Path, nginx: Nginx, upstream: str) -> Path:
    text = CONFIGURATION.read_text()
    for shipped, here in {
        "listen 8080;": f"listen {nginx.host}:{nginx.port};",
        "server proxy:8080;": f"server {upstream};",
        "/tmp/": f"{folder}/",
    }.items():
        assert shipped in text
        text = text.replace(shipped, here)
    copy = folder / "nginx.conf"
    copy.write_text(text)
    return copy


def _globals() -> str:
    # As root, nginx would hand its work to a user who can't enter the test's folder.
    return "daemon off;" + (" user root;" if os.geteuid() == 0 else "")


@pytest.fixture
async def upstream_url(aiohttp_server: AiohttpServer) -> str:
    """Returns host:port of a server that answers with what arrived: header bytes, the body's digest."""

    async def tell(request: web.Request) -> web.Response:
        digest, size = hashlib.sha256(), 0
        async for piece in request.content.iter_chunked(1 << 16):
            digest.update(piece)
            size += len(piece)
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers]
        told = {"target": request.raw_path, "headers": headers, "sha256": digest.hexdigest(), "size": size}
        return web.json_response(told, headers={"X-Request-ID": "r-upstream"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tell)
    server = await aiohttp_server(app)
    return f"{server.host}:{server.port}"


@pytest.fixture
async def nginx(run_nginx: RunNginx, upstream_url: str) -> AsyncIterator[Nginx]:
    async with run_nginx(upstream_url) as running:
        yield running
