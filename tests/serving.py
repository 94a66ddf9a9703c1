"""Serves apps on free ports for code that no test function runs: the shape of pytest-aiohttp's fixture."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpServer


@asynccontextmanager
async def serving() -> AsyncIterator[AiohttpServer]:
    """Yields what `aiohttp_server` gives to a test; its servers end with the block."""
    async with AsyncExitStack() as stack:

        async def serve(app: web.Application, *, port: int | None = None, **options: Any) -> TestServer:
            server = TestServer(app, port=port)
            await server.start_server(**options)
            stack.push_async_callback(server.close)
            return server

        yield serve
