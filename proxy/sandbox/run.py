"""Runs the three systems together on real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from proxy.sandbox import llamachat, llamalitica, michiq
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.llamachat import LlamaChat
from proxy.sandbox.llamalitica import Llamalitica
from proxy.sandbox.michiq_server import Michiq
from proxy.sandbox.service import Service


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The running systems; each has its `url`, its `faults`, its `calls` and its state."""

    llamalitica: Llamalitica
    llamachat: LlamaChat
    michiq: Michiq


@asynccontextmanager
async def run_sandbox(
    config: SandboxConfig, *, host: str = "127.0.0.1", ports: tuple[int, int, int] = (0, 0, 0)
) -> AsyncIterator[Sandbox]:
    """Serves Llamalitica, LlamaChat and the legacy michiQ on `ports` (0: a free one) while the block runs."""
    sandbox = Sandbox(Llamalitica(config), LlamaChat(config), Michiq(config))
    async with (
        _served(sandbox.llamalitica, llamalitica.create_app(sandbox.llamalitica), host, ports[0]),
        _served(sandbox.llamachat, llamachat.create_app(sandbox.llamachat), host, ports[1]),
        _served(sandbox.michiq, michiq.create_app(sandbox.michiq), host, ports[2]),
    ):
        yield sandbox


@asynccontextmanager
async def _served(service: Service, app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    # A page's `config` needs long lines. The wait at the end is short, because a fault may hold a call long.
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=1.0,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
        auto_decompress=False,  # the apps refuse an encoded body, whatever its encoding
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        service.url = str(URL.build(scheme="http", host=host, port=runner.addresses[0][1]))
        yield
    finally:
        await runner.cleanup()
