"""Classifies a chunk by its beginning, alone and joined with the short chunks before it (CONTRACT U04)."""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.audio.frames import tag_length
from proxy.audio.sniff import HEAD_SIZE, Container, container, opens, undecided


@dataclass(frozen=True, slots=True)
class BeginningVerdict:
    """The class of a chunk: whether it opens a recording, in which container, and how many chunks earlier.

    `short` says that it is too short to decide, and is classified again with the next one.
    """

    opens: bool
    taken: int
    container: Container | None
    short: bool


class Beginning:
    """The beginning of a chunk that is read in pieces; `held` are the short chunks right before it."""

    def __init__(self, held: Sequence[bytes] = ()) -> None:
        joined = (b"".join(held[start:]) for start in range(len(held) + 1))
        self._starts = [_Start(before) for before in joined]

    def add(self, data: bytes) -> None:
        """Adds the next piece."""
        for start in self._starts:
            start.add(data)

    @property
    def head(self) -> bytes:
        """Returns the chunk's own first bytes."""
        return self._starts[-1].head

    @property
    def whole(self) -> bool:
        """Returns whether the verdict is final, whatever bytes follow."""
        return len(self.head) == HEAD_SIZE

    def verdict(self, last: str | None, *, has_recording: bool) -> BeginningVerdict:
        """Returns the class of the chunk; the earliest start that opens a recording counts.

        `last` is the last recording's container.
        """
        for at, start in enumerate(self._starts):
            if opens(start.head, last, has_recording=has_recording):
                found = start.container
                short = found is None and self._short
                return BeginningVerdict(
                    opens=True, taken=len(self._starts) - 1 - at, container=found, short=short
                )
        return BeginningVerdict(opens=False, taken=0, container=None, short=self._short)

    @property
    def _short(self) -> bool:
        return any(undecided(start.head) for start in self._starts)


class _Start:
    """The first bytes of a possible recording, and those behind its tag, whatever the tag's length."""

    def __init__(self, before: bytes) -> None:
        self.head = b""
        self._behind = b""
        self._size = 0
        self.add(before)

    def add(self, data: bytes) -> None:
        self.head += data[: HEAD_SIZE - len(self.head)]
        if tag := tag_length(self.head):
            skipped = max(0, tag + len(self._behind) - self._size)
            self._behind += data[skipped : skipped + HEAD_SIZE - len(self._behind)]
        self._size += len(data)

    @property
    def container(self) -> Container | None:
        return container(self.head, self._behind)
