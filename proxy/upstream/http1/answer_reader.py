"""Parses one answer from the bytes of a connection: interim answers, head, body and end."""

from typing import Final, TypeAlias

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.headers import HeaderFields
from proxy.upstream.http1.errors import BadAnswer, Cut

MAX_HEAD: Final = 64 * 1024

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class AnswerReader:
    """A parser of the answer to one request, with the part that has arrived.

    `has_begun` is true once a byte has arrived. `status` is 0 until the head is complete. `complete` is true
    when the answer has ended correctly, `keep_alive` when another request may follow on the connection.
    `error` is the reason why the rest will not come. httptools can't know that an answer to HEAD has no
    body, or that the connection ended. So each answer has a new parser, and this class handles both cases.
    """

    __slots__ = (
        "_dry",
        "_fields",
        "_has_codings",
        "_is_head",
        "_parser",
        "_pieces",
        "buffered",
        "complete",
        "error",
        "has_begun",
        "headers",
        "interims",
        "keep_alive",
        "reason",
        "status",
    )

    def __init__(self, *, is_head: bool) -> None:
        self.status = 0
        self.reason = b""
        self.headers = HeaderFields(())
        self.interims: list[tuple[int, Headers]] = []
        self.buffered = 0
        self.has_begun = False
        self.complete = False
        self.keep_alive = False
        self.error: Exception | None = None
        self._is_head = is_head
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._dry = 0  # bytes since the last useful ones: of a head, trailers or a chunk's extension
        self._has_codings = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # Chunks override a length (RFC 9112, section 6.3).
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)

    def feed(self, data: bytes | memoryview) -> None:
        """Parses the next bytes. Bytes that are not a valid answer set `error`."""
        if self._parser is None:
            self.keep_alive = False
            return
        self.has_begun = True
        self._dry += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self.keep_alive = False
        except HttpParserError:
            self._spoil()
        if self.complete or self.error is not None:
            # The parser and its callbacks refer to each other: a cycle for the garbage collector.
            self._parser = None
        elif self._dry > MAX_HEAD:
            self.fail(BadAnswer())

    def end(self, *, cleanly: bool) -> None:
        """Handles the connection's end: it completes an answer without framing (RFC 9112, section 6.3)."""
        self.keep_alive = False
        self._parser = None
        if self.complete:
            return
        if cleanly and self.status and not self._is_framed():
            self.complete = True
        else:
            self.fail(Cut())

    def fail(self, error: Exception) -> None:
        """Ends an incomplete answer with an error; the first error counts."""
        self._parser = None
        self.keep_alive = False
        if self.error is None and not self.complete:
            self.error = error

    def take(self) -> bytes:
        """Returns the bytes of the body that have arrived since the last call."""
        pieces, self._pieces, self.buffered = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_message_begin(self) -> None:
        if self.complete:
            raise BadAnswer

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None or self.complete:
            raise BadAnswer
        status, fields = parser.get_status_code(), HeaderFields(self._fields)
        self._check(parser.get_http_version(), fields)
        if status < 200 and status != 101:
            self.interims.append((status, fields))
            return
        self.status = status
        self.headers = fields
        self._dry = 0
        self.complete = self._is_head or status == 101

    def on_body(self, piece: bytes) -> None:
        if not self.complete:
            self._pieces.append(piece)
            self.buffered += len(piece)
            self._dry = 0

    def on_message_complete(self) -> None:
        if not self.status:
            self._fields, self.reason, self._dry = [], b"", 0
        elif not self.complete and self._parser is not None:
            self.complete = True
            # llhttp has the right value only in this callback. Two framings end the connection (RFC 9112,
            # section 6.1).
            self.keep_alive = self._parser.should_keep_alive() and not self._has_two_framings()

    def _check(self, version: str, fields: HeaderFields) -> None:
        """Refuses heads that llhttp accepts: of HTTP/2, with codings other than chunked, or too long."""
        codings = fields.values(b"transfer-encoding")
        if not version.startswith("1.") or (codings and [each.lower() for each in codings] != [b"chunked"]):
            raise BadAnswer
        if self._dry > MAX_HEAD and sum(len(n) + len(v) + 4 for n, v in self._fields) > MAX_HEAD:
            raise BadAnswer
        self._has_codings = bool(codings)

    def _is_framed(self) -> bool:
        return self._has_codings or self._has_length()

    def _has_two_framings(self) -> bool:
        return self._has_codings and self._has_length()

    def _has_length(self) -> bool:
        return self.headers.has(b"content-length")

    def _spoil(self) -> None:
        """Sets the error of invalid bytes; after a complete answer they only end the connection."""
        if self.complete:
            self.keep_alive = False
        else:
            self.fail(BadAnswer())
