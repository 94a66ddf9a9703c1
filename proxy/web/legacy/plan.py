"""The plan for relaying a request to the legacy server, and the result."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.server.limits import PAUSE_SECONDS
from proxy.upstream.codings import BadCoding, TooLong, unpacked

CAPTURE_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """The answer of the legacy server. `body` is a copy without content codings; the client's is unchanged.

    `body` is None when it was not captured, was cut off or can't be read; then `unread` is the reason,
    `too-long` or `coding`.
    """

    status: int
    content_type: str
    body: bytes | None = field(repr=False)
    unread: str | None = None

    def with_body(self, body: bytes | None, codings: Sequence[str]) -> "Passed":
        """Returns this answer with its body, decoded from these codings; a body of None is too long."""
        try:
            if body is None:
                raise TooLong
            return replace(self, body=unpacked(body, codings, CAPTURE_LIMIT))
        except TooLong:
            return replace(self, unread="too-long")
        except BadCoding:
            return replace(self, unread="coding")


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for relaying one request.

    `path` is a template, for the log. `seconds` is the time for the legacy server to begin its answer once
    it has the request; `pause` is the longest pause of the client within the request's body.
    `authorization` replaces that field, b"" removes it. `drop` are lower-case names of fields that are not
    forwarded, `extra` are added to the answer. `renamed` is the path's id and the legacy server's spelling
    of it (CONTRACT G03); None leaves the path unchanged. `keep` gets each piece of the request's body when
    it is forwarded. `capture` asks for the answer's body. `rewrite` gets an answer with a body of at most
    64 KiB before the client gets a byte, and may return another body, without codings.
    """

    path: str
    seconds: float
    pause: float = PAUSE_SECONDS
    authorization: bytes | None = field(default=None, repr=False)
    drop: frozenset[bytes] = frozenset()
    extra: tuple[tuple[str, str], ...] = ()
    renamed: tuple[str, str] | None = field(default=None, repr=False)
    keep: Callable[[bytes], None] | None = None
    capture: bool = False
    rewrite: Callable[[Passed], Awaitable[bytes | None]] | None = None


class Captured:
    """A copy of a body: all of it, or nothing if it is too long or not wanted."""

    def __init__(self, *, wanted: bool) -> None:
        self._pieces: list[bytes] | None = [] if wanted else None
        self._size = 0

    def add(self, piece: bytes) -> None:
        if self._pieces is not None and piece:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > CAPTURE_LIMIT:
                self._pieces = None

    def body(self) -> bytes | None:
        if self._pieces is None:
            return None
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
