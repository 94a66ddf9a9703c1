"""Streams events to the page: app.js refreshes what has changed."""

from aiohttp import web

from proxy.web.page.access import HEADERS, session_of
from proxy.web.page.keys import SESSION
from proxy.web.stream.answer import stream


async def show(request: web.Request) -> web.StreamResponse:
    async def allowed() -> bool:
        return await session_of(request) is not None

    return await stream(request, request[SESSION].token, allowed, HEADERS.items())
