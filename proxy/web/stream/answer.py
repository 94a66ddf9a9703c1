"""Answers a request with the stream of events, until the client, the session or the process ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from aiohttp import web

from proxy.server.responses import Streamed
from proxy.web.admin.keys import REQUEST_ID
from proxy.web.admin.problems import Problem
from proxy.web.stream.events import RETRY
from proxy.web.stream.hub import HUB, Hub, Subscription, TooManyStreams

# Returns whether the client may still read.
Allowed = Callable[[], Awaitable[bool]]

_HEADERS: Final = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx would wait for more
)
_CHECK_SECONDS: Final = 30.0  # a session that was ended elsewhere ends here by then


async def show(request: web.Request) -> web.StreamResponse:
    """Streams to a program, whose token lives as long as the process."""

    async def always() -> bool:
        return True

    return await stream(request, "", always)


async def stream(
    request: web.Request, owner: str, allowed: Allowed, headers: Iterable[tuple[str, str]] = ()
) -> web.StreamResponse:
    """Streams events; `owner` is the session that the stream ends with.

    Raises Problem when the process has too many streams, and StoreError.
    """
    hub, subscription = (
        request.app[HUB],
        Subscription(owner, partial(_waiting, request), partial(_cut, request)),
    )
    try:
        with hub.joined(subscription):
            first = RETRY + await _missed(request, hub) + hub.tick()
            request_id = ("X-Request-ID", request[REQUEST_ID])
            response = Streamed(headers=dict([*_HEADERS, request_id, *headers]))
            await response.prepare(request)
            if request.method != "HEAD":
                with suppress(ConnectionError):
                    await response.write(first)
                    subscription.write = response.write
                    await _until_ended(subscription, allowed)
            return response
    except TooManyStreams:
        detail = "this process has no room for one more stream of events"
        raise Problem(503, detail, headers={"Retry-After": "10"}) from None


async def _until_ended(subscription: Subscription, allowed: Allowed) -> None:
    while not subscription.ended.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK_SECONDS):
                await subscription.ended.wait()
        if not await allowed():
            return


async def _missed(request: web.Request, hub: Hub) -> bytes:
    """Returns the changes since the last event that the client got, if it says which one."""
    last = request.headers.get("Last-Event-ID", "")
    return await hub.missed(int(last)) if last.isdecimal() and last.isascii() and len(last) < 16 else b""


def _waiting(request: web.Request) -> int:
    return 0 if request.transport is None else request.transport.get_write_buffer_size()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
