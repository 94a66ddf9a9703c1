"""Requests and answers as raw header bytes in their order, and the rules for header fields to forward."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field

from proxy.raw_headers import Pairs, expects_continue


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request to the legacy server. `target` is a path, perhaps with a query, below the base address.

    With a body, `length` is its size; None sends it chunked. Framing fields that `headers` lacks are added
    when the request is sent; Host is always the legacy server's own. `caller` identifies the user: a
    connection is used again only for the same caller's requests. A request with None shares its connection
    with no other request.
    """

    method: bytes
    target: bytes = field(repr=False)
    headers: Pairs = field(repr=False)
    body: AsyncIterator[bytes] | None = field(default=None, repr=False)
    length: int | None = None
    caller: bytes | None = field(default=None, repr=False)

    @property
    def expects(self) -> bool:
        """Returns whether the body waits until the server asks for it (RFC 9110, section 10.1.1)."""
        return self.body is not None and expects_continue(self.headers)

    @property
    def repeatable(self) -> bool:
        """Returns whether the request may be sent again when certainly no answer to it has begun."""
        return self.method in (b"GET", b"HEAD") and self.body is None

    @property
    def framing(self) -> Pairs:
        """Returns the header field that declares the body's length."""
        if self.body is None:
            return ()
        if self.length is None:
            return ((b"Transfer-Encoding", b"chunked"),)
        return ((b"Content-Length", b"%d" % self.length),)

    def head(self, base: bytes, authority: bytes) -> bytes:
        """Returns the request line, below the path `base`, and the fields, as they are sent.

        Host has the authority as its value. It replaces the first Host and has its spelling; without one it
        is added at the end. Raises ValueError when a value would break the head.
        """
        lines = [b"%b %b%b HTTP/1.1" % (self.method, base, self.target)]
        host = False
        for name, value in self.headers:
            if name.lower() != b"host":
                lines.append(name + b": " + value)
            elif not host:
                lines.append(name + b": " + authority)
                host = True
        if not host:
            lines.append(b"Host: " + authority)
        if self.body is not None:
            names = {name.lower() for name, _ in self.headers}
            lines += [b"%b: %b" % pair for pair in self.framing if pair[0].lower() not in names]
        head = b"\r\n".join([*lines, b"", b""])
        ends = len(lines) + 1
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
            raise ValueError("a line end within the head of a request")
        return head


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An unchanged answer: it still has its hop-by-hop fields. The body is read once, without framing.

    `arrived` takes the part of the body that is here already, without waiting; `chunks` waits for the rest.
    """

    status: int
    reason: bytes = field(repr=False)
    headers: Pairs = field(repr=False)
    chunks: Callable[[], AsyncGenerator[bytes, None]] = field(repr=False)
    arrived: Callable[[], bytes] = field(repr=False)
