"""Reads captured HTTP/1.1 requests byte by byte, mending nothing."""

import re
from binascii import a2b_qp
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

_END: Final = b"\r\n\r\n"
BOUNDARY: Final = re.compile(rb'boundary=("?)([^";]+)\1', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came; `headers` in order and in the sender's spelling, `body` without chunk framing."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> bytes | None:
        wanted = name.lower().encode()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def spelling(self, name: str) -> str:
        """Returns that header's name as the sender spells it; empty if it is absent."""
        wanted = name.lower().encode()
        return next((key.decode("latin-1") for key, _ in self.headers if key.lower() == wanted), "")

    def parts(self) -> list[tuple[bytes, bytes]]:
        """The header lines and the content of each part of a form."""
        match = BOUNDARY.search(self.header("Content-Type") or b"")
        if not match:
            return []
        pieces = self.body.split(b"--" + match[2])[1:-1]
        return [_part(piece) for piece in pieces]

    def part(self, name: str) -> tuple[bytes, bytes]:
        """The header lines and the content of the first part of that name, quoted or not."""
        named = re.compile(rb'[; ]name="?%b"?[;\r]' % name.encode())
        return next((head, content) for head, content in self.parts() if named.search(head + b"\r"))


def _part(piece: bytes) -> tuple[bytes, bytes]:
    head, _, content = piece.removeprefix(b"\r\n").partition(_END)
    return head, content.removesuffix(b"\r\n")


def requests(stream: bytes) -> Iterator[Request]:
    """The requests of one connection; ValueError where the stream isn't HTTP/1.1."""
    while stream:
        head, end, stream = stream.partition(_END)
        start, *lines = head.split(b"\r\n")
        method, target, version = start.split(b" ")
        if not end or version != b"HTTP/1.1":
            raise ValueError("not a whole HTTP/1.1 request")
        headers = tuple(_header(line) for line in lines)
        body, stream = _body(Request(method, target, headers, b""), stream)
        yield Request(method, target, headers, body)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise ValueError("a header line without a colon")
    return name, value.strip()


def _body(request: Request, stream: bytes) -> tuple[bytes, bytes]:
    if (request.header("Transfer-Encoding") or b"").lower() == b"chunked":
        return _dechunked(stream)
    size = int(request.header("Content-Length") or 0)
    return stream[:size], stream[size:]


def _dechunked(stream: bytes) -> tuple[bytes, bytes]:
    body = bytearray()
    while True:
        line, end, stream = stream.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        body += stream[:size]
        stream = stream[size:].removeprefix(b"\r\n")
        if not size or not end:
            return bytes(body), stream


@dataclass(frozen=True, slots=True)
class Session:
    """The requests of one client, connection by connection."""

    sent: tuple[Request, ...] = field(repr=False)
    connections: int

    @property
    def forms(self) -> list[Request]:
        return [request for request in self.sent if request.parts()]

    @property
    def case(self) -> Request:
        """newCase."""
        return next(form for form in self.forms if form.target.endswith(b"/newCase"))

    def conversation(self) -> bytes:
        """The conversation in UTF-8, however the client wrote it."""
        head, content = self.case.part("conversation")
        if b"quoted-printable" in head.lower():
            content = a2b_qp(content)
        try:
            return content.decode().encode()
        except UnicodeDecodeError:
            return content.decode("cp1252").encode()


def read_session(connections: Sequence[bytes]) -> Session:
    """A client's session; ValueError where what it sent isn't HTTP/1.1."""
    sent = tuple(request for stream in connections for request in requests(stream))
    return Session(sent, len(connections))
