"""How a request is passed through to the legacy server, and what came of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.codings import BadCoding, TooLong, unpacked
from proxy.web.guards import PAUSE_SECONDS

CAPTURE_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """What the legacy server answered. `body` is a copy without content codings, the client's is as it came.

    It is None where it was not captured or cut off, and where it can't be had: `unread` says why, by
    `too-long` or `coding`.
    """

    status: int
    content_type: str
    body: bytes | None = field(repr=False)
    unread: str | None = None

    def with_body(self, body: bytes | None, codings: Sequence[str]) -> "Passed":
        """Returns this answer with its body, as it came under these codings; None is one that is too long."""
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
    """How a request is passed on.

    `path` is a template, for the log. `seconds` is how long the legacy server may take to begin its
    answer once it has the request, `pause` for how long the client may say nothing in the request's body.
    `authorization` replaces that field, b"" removes it. `drop` are lower-case names of fields
    that are not sent on, `extra` are added to the answer. `renamed` is the path's id, and how the legacy
    server spells it (CONTRACT G03); None leaves the path as it came. `keep` gets each piece of the
    request's body as it is sent on. `capture` asks for the answer's body. `rewrite` gets an answer whose
    body came in up to 64 KiB before the client gets a byte, and may return another body, without codings.
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
    """A body as far as it is wanted: all of it, or nothing once it is too long."""

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
