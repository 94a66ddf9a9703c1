"""Streams events to the page: app.js refreshes what has changed."""

from aiohttp import web

from proxy.store import StoreError
from proxy.web.page.access import HEADERS, session_of
from proxy.web.page.keys import SESSION
from proxy.web.stream.answer import stream


async def show(request: web.Request) -> web.StreamResponse:
    async def allowed() -> bool:
        try:
            return await session_of(request) is not None
        except StoreError:  # it can't be asked now: the stream says what is wrong
            return True

    return await stream(request, request[SESSION].token, allowed, HEADERS.items())
