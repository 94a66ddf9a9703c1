"""Requests and answers as raw header bytes in their order, and the rules for header fields to forward."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from proxy.headers import HeaderFields

Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]

# RFC 9110, section 7.6.1, and Trailer: trailer fields are not forwarded either.
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


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
        if self.body is None:
            return False
        return any(
            value.lower() == b"100-continue" for value in HeaderFields.of(self.headers).values(b"expect")
        )

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


def without(headers: Pairs, names: frozenset[bytes]) -> Pairs:
    """Returns the fields without those of these names, which are in lower case."""
    return tuple(pair for pair in headers if pair[0].lower() not in names)


def end_to_end(headers: Pairs, drop: frozenset[bytes] = frozenset()) -> Pairs:
    """Returns the fields that an intermediary forwards (RFC 9110, section 7.6.1), without those in `drop`.

    `drop` has names in lower case. A Content-Length beside a Transfer-Encoding is invalid and must not be
    forwarded (RFC 9112, section 6.3).
    """
    fields = HeaderFields.of(headers)
    gone = HOP_BY_HOP | drop if drop else HOP_BY_HOP
    if fields.has(b"connection"):
        named = (option for value in fields.values(b"connection") for option in value.split(b","))
        gone = gone | {option.strip(b" \t").lower() for option in named}
    if fields.has(b"transfer-encoding"):
        gone = gone | {b"content-length"}
    return tuple([pair for pair, name in zip(fields, fields.names, strict=True) if name not in gone])


def replaced(headers: Pairs, name: bytes, value: bytes) -> Pairs:
    """Returns the headers with one field `name`, with this value.

    It replaces the first such field and has its spelling; without one it is added at the end.
    """
    first = next((index for index, pair in enumerate(headers) if pair[0].lower() == name.lower()), None)
    if first is None:
        return (*headers, (name, value))
    rest = without(headers[first + 1 :], frozenset({name.lower()}))
    return (*headers[:first], (headers[first][0], value), *rest)
