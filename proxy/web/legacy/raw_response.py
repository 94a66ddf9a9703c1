"""Sends an answer with unchanged header bytes: aiohttp would decode, re-encode and add to them."""

import socket
import struct
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from proxy.headers import HeaderFields
from proxy.raw_headers import Pairs
from proxy.server.aiohttp_private import OpenResponse

_RESET: Final = struct.pack("ii", 1, 0)  # linger for 0 s


class RawResponse(OpenResponse):
    """A response of raw end-to-end fields, to which it adds the framing and Connection.

    With a Content-Length among the fields the body has that length. Without one it is chunked, or ends with
    the connection for an HTTP/1.0 client. `headers` stays empty, because aiohttp would send it. `start` is
    the beginning of the body, which is sent with the head.
    """

    def __init__(self, status: int, reason: bytes, fields: Pairs, start: bytes = b"") -> None:
        super().__init__(status=status, reason=reason.decode("latin-1"))
        self._raw_reason = reason
        self._fields = fields
        self._first = start

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await super().write(data)
        # The access line's size of a streamed body is counted here.
        self.content_length = (self.content_length or 0) + len(data)

    async def begin(self, request: web.BaseRequest, writer: AbstractStreamWriter) -> None:
        framing = self._framing(request)
        fields = [name + b": " + value for name, value in (*self._fields, *framing)]
        line = b"HTTP/%d.%d %d %b" % (*request.version, self.status, self._raw_reason)
        head = b"\r\n".join([line, *fields, b"", b""])
        start, self._first = self._first, b""
        if (b"Transfer-Encoding", b"chunked") in framing:
            await writer.write(head + (b"%x\r\n%b\r\n" % (len(start), start) if start else b""))
            writer.enable_chunking()
        else:
            await writer.write(head + start)
        if start:
            self.content_length = len(start)

    def _framing(self, request: web.BaseRequest) -> Pairs:
        modern = request.version >= HttpVersion11
        keep_alive = request.keep_alive if self.stays_open is None else self.stays_open
        boundless = not self.has_no_body and not HeaderFields.of(self._fields).has(b"content-length")
        self.stays_open = keep_alive and (modern or not boundless)
        framing: Pairs = ((b"Transfer-Encoding", b"chunked"),) if boundless and modern else ()
        if self.stays_open == modern:
            return framing
        return (*framing, (b"Connection", b"close" if modern else b"keep-alive"))


def abort(request: web.BaseRequest) -> None:
    """Resets the client's connection: an orderly close could look like the end of the body."""
    if request.transport is None:
        return
    if (connected := request.transport.get_extra_info("socket")) is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    request.transport.abort()


def finish_sending(request: web.BaseRequest) -> None:
    """Closes our side for a client that is still sending; the rest of its body is read and dropped.

    Closing both sides at once would reset the connection, and the answer could be lost.
    """
    if request.transport is not None and request.transport.can_write_eof():
        request.transport.write_eof()
