"""Requests and answers as they stand on the wire: header bytes in order, and what of them may travel on."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_SPLITTING: Final = re.compile(rb"[\r\n\0]")

Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]

# RFC 9110, section 7.6.1, and Trailer, whose fields are not sent on either.
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What goes to the legacy server. `target` is a path, perhaps with a query, below the base address.

    With a body, `length` is its size; None sends it chunked. What of the framing is missing in
    `headers` is added when the request is sent; Host is always the legacy server's own.
    """

    method: bytes
    target: bytes = field(repr=False)
    headers: Pairs = field(repr=False)
    body: AsyncIterator[bytes] | None = field(default=None, repr=False)
    length: int | None = None

    @property
    def expects(self) -> bool:
        """Whether the body is held back until the server asks for it (RFC 9110, section 10.1.1)."""
        wanted = any(value.lower() == b"100-continue" for value in values(self.headers, b"expect"))
        return wanted and self.body is not None

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when it is sure that no answer to it has begun."""
        return self.method in (b"GET", b"HEAD") and self.body is None

    @property
    def framing(self) -> Pairs:
        """What says how long the body is."""
        if self.body is None:
            return ()
        if self.length is None:
            return ((b"Transfer-Encoding", b"chunked"),)
        return ((b"Content-Length", b"%d" % self.length),)

    def head(self) -> bytes:
        """Its first line and its fields, as they are sent."""
        added = tuple(pair for pair in self.framing if not values(self.headers, pair[0].lower()))
        fields = [b"%b: %b" % pair for pair in (*self.headers, *added)]
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target), *fields]
        if any(_SPLITTING.search(line) for line in lines):
            raise ValueError("a line end within the head of a request")
        return b"\r\n".join([*lines, b"", b""])


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back, as it came: hop-by-hop fields are still in. The body is read once, without framing."""

    status: int
    reason: bytes = field(repr=False)
    headers: Pairs = field(repr=False)
    chunks: Callable[[], AsyncGenerator[bytes, None]] = field(repr=False)


def values(headers: Pairs, name: bytes) -> list[bytes]:
    """The values of a field, in order; `name` in lower case."""
    return [value for key, value in headers if key.lower() == name]


def without(headers: Pairs, names: frozenset[bytes]) -> Pairs:
    """The fields whose lower-case name is none of these."""
    return tuple(pair for pair in headers if pair[0].lower() not in names)


def end_to_end(headers: Pairs) -> Pairs:
    """The fields that an intermediary sends on (RFC 9110, section 7.6.1).

    A Content-Length beside a Transfer-Encoding says nothing of the body, and may not travel
    (RFC 9112, section 6.3).
    """
    named = (option for value in values(headers, b"connection") for option in value.split(b","))
    gone = HOP_BY_HOP | {option.strip(b" \t").lower() for option in named}
    if values(headers, b"transfer-encoding"):
        gone |= {b"content-length"}
    return without(headers, gone)


def replaced(headers: Pairs, name: bytes, value: bytes) -> Pairs:
    """The one field `name` with this value: where the first one stood, in its spelling, else at the end."""
    first = next((index for index, pair in enumerate(headers) if pair[0].lower() == name.lower()), None)
    if first is None:
        return (*headers, (name, value))
    rest = without(headers[first + 1 :], frozenset({name.lower()}))
    return (*headers[:first], (headers[first][0], value), *rest)
