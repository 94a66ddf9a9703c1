"""The body of a request as flows read it: once, counted as it comes, with time limits (CONTRACT N15, N16)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.errors import Refusal
from proxy.headers import media_type
from proxy.inbound.multipart_parser import Event, MultipartParser
from proxy.inbound.part_headers import PartHeaders
from proxy.web.guards import LEAST_RATE, PAUSE_SECONDS
from proxy.web.parts import Part, WholeForm, part_of

# A form that says it is no longer is read before its parts are: most of the time it has come already.
_AT_ONCE: Final = 64 * 1024
IDLE_SECONDS: Final = 15.0  # of a pause while the process ends, and from one look whether it does to the next
_MAX_BOUNDARY: Final = 70  # RFC 2046, section 5.1.1


Headers: TypeAlias = "CIMultiDict[str] | CIMultiDictProxy[str]"


class RequestBody:
    """A request's body (`values.Body`); `limit` in bytes. Its methods raise Refusal.

    `arriving` are its bytes, from the socket (`arriving`) or from what was kept of an earlier request.
    """

    def __init__(self, headers: Headers, arriving: AsyncIterator[bytes], limit: int) -> None:
        self._headers = headers
        self._arriving = arriving
        self._limit = limit
        self.received = 0

    async def read(self) -> bytes:
        """All of it: for JSON, and for signatures, which are made over the raw bytes."""
        return b"".join([chunk async for chunk in self._chunks(self._limit)])

    async def parts(self, limit: int | None = None) -> AsyncIterator[Part]:
        """The parts of a multipart/form-data body, in order. What the caller leaves of a part is dropped."""
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
        """The raw bytes as they arrive; refused as soon as it is certain that there are too many."""
        self._judge_headers(limit)
        async for chunk in self._arriving:
            self.received += len(chunk)
            if self.received > limit:
                raise Refusal("too_large", "body-too-large")
            if chunk:
                yield chunk

    def _judge_headers(self, limit: int) -> None:
        for encoding in self._headers.getall("Content-Encoding", ()):
            if encoding.strip().lower() != "identity":
                raise Refusal("unsupported_encoding", "content-encoding")
        announced = self._headers.get("Content-Length", "0")
        if announced.isdecimal() and int(announced) > limit:
            raise Refusal("too_large", "body-too-large")


async def arriving(request: web.BaseRequest, pause: float = PAUSE_SECONDS) -> AsyncIterator[bytes]:
    """The bytes of a request's body as they come in; Refusal where they stop before their end, or drip.

    A client may pause for so many seconds, and no longer than IDLE_SECONDS where the process is about to end.
    """
    content, loop = request.content, asyncio.get_running_loop()
    received, waited = 0, 0.0
    while not content.at_eof():
        began = loop.time()
        try:
            # What is there already needs no time limit.
            chunk = content.read_nowait() or await _next(request, received, waited, pause)
        except TimeoutError:
            raise Refusal("malformed", "body-stalled") from None
        except (web.RequestPayloadError, ConnectionError, asyncio.IncompleteReadError):
            raise Refusal("malformed", "body-cut") from None
        waited += loop.time() - began
        received += len(chunk)
        yield chunk


async def _next(request: web.BaseRequest, received: int, waited: float, pause: float) -> bytes:
    """What comes next, looked for in short times: a pause that began before the end did ends with it, too."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        allowed = min(pause, IDLE_SECONDS) if getattr(request, "is_leaving", False) else pause
        left = patience(received, waited, allowed) - (loop.time() - began)
        try:
            async with asyncio.timeout(min(left, IDLE_SECONDS)):
                return await request.content.readany()
        except TimeoutError:
            if left <= IDLE_SECONDS:
                raise


def patience(received: int, waited: float, pause: float) -> float:
    """How many seconds the next bytes may take, after so many that were waited for so long."""
    return min(pause, pause + received / LEAST_RATE - waited)
