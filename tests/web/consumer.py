"""The operator's own consumer of webhooks, on a real socket, with its answers given beforehand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy


@dataclass
class Consumer:
    """What it got, in order. `answers` are the statuses of its next answers, 200 after them; 0 hangs up.

    While `open` is not set, nothing is answered.
    """

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[CIMultiDictProxy[str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(request.headers)
        await self.open.wait()
        status = self.answers.pop(0) if self.answers else 200
        if not status and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 200, headers=self.more)


@asynccontextmanager
async def consuming(*answers: int) -> AsyncIterator[Consumer]:
    consumer = Consumer(answers=list(answers))
    consumer.open.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", consumer.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    consumer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/llamalitica/"
    try:
        yield consumer
    finally:
        await runner.cleanup()
