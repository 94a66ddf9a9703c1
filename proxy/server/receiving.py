"""Receives the bytes of a request's body, with time limits (CONTRACT N15)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import StreamReader, web

from proxy.errors import Refusal
from proxy.server.limits import LEAST_RATE, PAUSE_SECONDS

IDLE_SECONDS: Final = 15.0  # of a pause while the process ends, and between two checks whether it does

Read: TypeAlias = Callable[[StreamReader], Awaitable[bytes]]


async def arriving(request: web.BaseRequest, pause: float = PAUSE_SECONDS) -> AsyncIterator[bytes]:
    """Yields the bytes of a request's body as they arrive.

    Raises Refusal when they stop before the end, or are too slow. A client may pause for `pause` seconds, but
    for at most IDLE_SECONDS while the process ends.
    """
    content, loop = request.content, asyncio.get_running_loop()
    received, waited = 0, 0.0
    # Pieces from the socket need no copy. But a client's own chunks may be tiny, so they are joined.
    read = _read_joined if "Transfer-Encoding" in request.headers else _read_as_it_came
    while not content.at_eof():
        began = loop.time()
        try:
            # Bytes that are here already need no time limit.
            if content.total_bytes > received:
                chunk = await read(content)
            else:
                chunk = await _next(request, read, received, waited, pause)
        except TimeoutError:
            raise Refusal("malformed", "body-stalled") from None
        except (web.RequestPayloadError, ConnectionError, asyncio.IncompleteReadError):
            raise Refusal("malformed", "body-cut") from None
        waited += loop.time() - began
        received += len(chunk)
        yield chunk


async def _next(request: web.BaseRequest, read: Read, received: int, waited: float, pause: float) -> bytes:
    """Waits for the next bytes in short steps, so that the end of the process shortens a running pause."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        allowed = min(pause, IDLE_SECONDS) if getattr(request, "is_leaving", False) else pause
        left = patience(received, waited, allowed) - (loop.time() - began)
        try:
            async with asyncio.timeout(min(left, IDLE_SECONDS)):
                return await read(request.content)
        except TimeoutError:
            if left <= IDLE_SECONDS:
                raise


def patience(received: int, waited: float, pause: float) -> float:
    """Returns the seconds for the next bytes, after `received` bytes with `waited` seconds of waiting."""
    return min(pause, pause + received / LEAST_RATE - waited)


async def _read_joined(content: StreamReader) -> bytes:
    return await content.readany()


async def _read_as_it_came(content: StreamReader) -> bytes:
    return (await content.readchunk())[0]
