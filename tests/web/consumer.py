"""The operator's own consumer of webhooks, on a real socket, with prepared answers."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy
from pytest_aiohttp import AiohttpServer


@dataclass
class Consumer:
    """A consumer, with the webhooks that it got, in order.

    `answers` are the statuses of its next answers, 200 after them; 0 closes the connection.

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


async def consuming(aiohttp_server: AiohttpServer) -> Consumer:
    """Returns a running consumer that takes everything."""
    consumer = Consumer()
    consumer.open.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", consumer.take)
    server = await aiohttp_server(app, access_log=None, shutdown_timeout=0.1)
    consumer.url = str(server.make_url("/hooks/llamalitica/"))
    return consumer
