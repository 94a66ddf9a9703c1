"""How a request is passed through to the legacy server, and what came of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

CAPTURE_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """What the legacy server answered; `body` is None where it was not captured, too long or cut off."""

    status: int
    content_type: str
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a request is passed on.

    `path` is a template, for the log. `seconds` is how long the legacy server may take to begin its
    answer. `authorization` replaces that field, b"" removes it. `drop` are lower-case names of fields
    that are not sent on, `extra` are added to the answer. `renamed` is the path's id, and how the legacy
    server spells it (CONTRACT G03); None leaves the path as it came. `keep` gets each piece of the
    request's body as it is sent on. `capture` asks for the answer's body. `rewrite` gets a whole body of
    up to 64 KiB before the client gets a byte, and may return another one.
    """

    path: str
    seconds: float
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
        self._body: bytearray | None = bytearray() if wanted else None

    def add(self, piece: bytes) -> None:
        if self._body is not None:
            self._body += piece
            if len(self._body) > CAPTURE_LIMIT:
                self._body = None

    def body(self) -> bytes | None:
        return None if self._body is None else bytes(self._body)
