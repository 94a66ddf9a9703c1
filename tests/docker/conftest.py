"""Debian's nginx and HAProxy as shipped, in front of servers that report what they got."""

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

DOCKER: Final = Path(__file__).parents[2] / "docker"


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running load balancer; its logs are whole once it has stopped."""

    host: str
    port: int
    stdout: Path
    stderr: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


# Each takes the addresses of the replicas, as host:port.
RunNginx: TypeAlias = Callable[..., AbstractAsyncContextManager[Nginx]]


@pytest.fixture
def run_nginx(tmp_path: Path) -> RunNginx:
    """Returns a function that starts nginx in front of replicas."""
    program = tool("nginx")

    def run(*replicas: str) -> AbstractAsyncContextManager[Nginx]:
        def command(nginx: Nginx, fileno: int) -> list[str]:
            line = "server {}:8080 max_fails=1 fail_timeout=5s;"
            changes = {
                "listen 8080;": f"listen {nginx.host}:{nginx.port};",
                line.format("proxy"): "\n".join(line.replace("{}:8080", each) for each in replicas),
                "/tmp/": f"{tmp_path}/",
            }
            copy = _configured(DOCKER / "nginx.conf", tmp_path, changes)
            return [program, "-e", "stderr", "-c", str(copy), "-g", _globals()]

        return _running(tmp_path, command)

    return run


@pytest.fixture
def run_haproxy(tmp_path: Path) -> RunNginx:
    """Returns a function that starts HAProxy in front of replicas."""
    program = tool("haproxy")

    def run(*replicas: str) -> AbstractAsyncContextManager[Nginx]:
        def command(haproxy: Nginx, fileno: int) -> list[str]:
            lines = [f"server replica-{number} {each}" for number, each in enumerate(replicas)]
            changes = {"bind :8080": f"bind fd@{fileno}", "server proxy proxy:8080": "\n".join(lines)}
            return [program, "-db", "-f", str(_configured(DOCKER / "haproxy.cfg", tmp_path, changes))]

        return _running(tmp_path, command)

    return run


@pytest.fixture(params=["nginx", "haproxy"])
def run_balancer(request: pytest.FixtureRequest) -> RunNginx:
    """Returns the function that starts one of them."""
    found: RunNginx = request.getfixturevalue(f"run_{request.param}")
    return found


@asynccontextmanager
async def _running(folder: Path, command: Callable[[Nginx, int], list[str]]) -> AsyncIterator[Nginx]:
    # The balancer takes over a socket that already listens, so nobody has to wait until it is up.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        running = Nginx(host, port, folder / "stdout", folder / "stderr")
        with running.stdout.open("wb") as out, running.stderr.open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *command(running, listening.fileno()),
                stdout=out,
                stderr=err,
                pass_fds=[listening.fileno()],
                env={**os.environ, "NGINX": f"{listening.fileno()};"},
            )
    try:
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 10)


def _configured(shipped: Path, folder: Path, changes: dict[str, str]) -> Path:
    text = shipped.read_text()
    for there, here in changes.items():
        assert there in text
        text = text.replace(there, here)
    copy = folder / shipped.name
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
async def balancer(run_balancer: RunNginx, upstream_url: str) -> AsyncIterator[Nginx]:
    """Yields each of them in front of that server."""
    async with run_balancer(upstream_url) as running:
        yield running


@pytest.fixture
async def nginx(run_nginx: RunNginx, upstream_url: str) -> AsyncIterator[Nginx]:
    async with run_nginx(upstream_url) as running:
        yield running
