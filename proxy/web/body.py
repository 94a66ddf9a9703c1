"""Reads a request's body for flows: once, counted while it arrives, with time limits (CONTRACT N15, N16)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import StreamReader, web
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.errors import Refusal
from proxy.headers import media_type
from proxy.inbound.multipart_parser import Event, MultipartParser
from proxy.inbound.part_headers import PartHeaders
from proxy.web.guards import LEAST_RATE, PAUSE_SECONDS
from proxy.web.parts import Part, WholeForm, part_of

# A form with at most this Content-Length is read completely first: usually all of it is here already.
_AT_ONCE: Final = 64 * 1024
IDLE_SECONDS: Final = 15.0  # of a pause while the process ends, and between two checks whether it does
_MAX_BOUNDARY: Final = 70  # RFC 2046, section 5.1.1


Read: TypeAlias = Callable[[StreamReader], Awaitable[bytes]]
Headers: TypeAlias = "CIMultiDict[str] | CIMultiDictProxy[str]"


class RequestBody:
    """A request's body (`values.Body`); `limit` is in bytes. Its methods raise Refusal.

    `arriving` are its bytes, from the socket (`arriving`) or from a captured request.
    """

    def __init__(self, headers: Headers, arriving: AsyncIterator[bytes], limit: int) -> None:
        self._headers = headers
        self._arriving = arriving
        self._limit = limit
        self.received = 0

    async def read(self) -> bytes:
        """Returns the complete raw body: for JSON, and for signatures, which cover the raw bytes."""
        return b"".join([chunk async for chunk in self._chunks(self._limit)])

    async def parts(self, limit: int | None = None) -> AsyncIterator[Part]:
        """Yields the parts of a multipart/form-data body, in order; unread bytes of a part are dropped."""
        parser, limit = self._parser(), self._limit if limit is None else limit
        events = await self._all_events(parser, limit) if self._is_short() else self._events(parser, limit)
        async for event in events:
            if isinstance(event, PartHeaders):
                part = part_of(event, events)
                yield part
                await part.drop_rest()

    def _parser(self) -> MultipartParser:
        kind, options = media_type(self._headers.get("Content-Type", ""))
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data":
            raise Refusal("malformed", "not-multipart")
        if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
            raise Refusal("malformed", "bad-boundary")
        return MultipartParser(boundary)

    def _is_short(self) -> bool:
        announced = self._headers.get("Content-Length", "")
        return announced.isdecimal() and int(announced) <= _AT_ONCE

    async def _all_events(self, parser: MultipartParser, limit: int) -> AsyncIterator[Event]:
        whole = bytearray()
        async for chunk in self._chunks(limit):
            whole += chunk
        events = parser.feed(bytes(whole))
        parser.close()
        return WholeForm(events)

    async def _events(self, parser: MultipartParser, limit: int) -> AsyncIterator[Event]:
        async for chunk in self._chunks(limit):
            for event in parser.feed(chunk):
                yield event
        parser.close()

    async def _chunks(self, limit: int) -> AsyncIterator[bytes]:
        """Yields the raw bytes as they arrive. Raises Refusal as soon as there are certainly too many."""
        self._check_headers(limit)
        async for chunk in self._arriving:
            self.received += len(chunk)
            if self.received > limit:
                raise Refusal("too_large", "body-too-large")
            if chunk:
                yield chunk

    def _check_headers(self, limit: int) -> None:
        for encoding in self._headers.getall("Content-Encoding", ()):
            if encoding.strip().lower() != "identity":
                raise Refusal("unsupported_encoding", "content-encoding")
        announced = self._headers.get("Content-Length", "0")
        if announced.isdecimal() and int(announced) > limit:
            raise Refusal("too_large", "body-too-large")


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


async def _read_joined(content: StreamReader) -> bytes:
    return await content.readany()


async def _read_as_it_came(content: StreamReader) -> bytes:
    return (await content.readchunk())[0]


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
