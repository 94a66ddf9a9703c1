"""Reads a request's body for flows: once, counted while it arrives, with time limits (CONTRACT N15, N16)."""

from collections.abc import AsyncIterator
from typing import Final, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.errors import Refusal
from proxy.headers import media_type
from proxy.inbound.multipart_parser import Event, MultipartParser
from proxy.inbound.part_headers import PartHeaders
from proxy.inbound.parts import StreamedPart, WholeForm, part_of

# A form with at most this Content-Length is read completely first: usually all of it is here already.
_AT_ONCE: Final = 64 * 1024
_MAX_BOUNDARY: Final = 70  # RFC 2046, section 5.1.1

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

    async def parts(self, limit: int | None = None) -> AsyncIterator[StreamedPart]:
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
