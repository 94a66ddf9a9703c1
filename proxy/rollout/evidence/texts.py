"""Masks error texts, and returns none before several callers have got it often enough."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_TEXTS: Final = 200
MAX_SIGNS: Final = 200
_TIMES: Final = 3
_CALLERS: Final = 2
_READ: Final = 2000

_ID: Final = "{id}"
_MASKS: Final = (
    (re.compile(r"""[^\s@<>"'(),;:]+@[^\s@<>"'(),;:]+"""), "{mail}"),
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE), _ID),
    # A long word with a digit is an id, a token or a digest.
    (re.compile(r"(?=[\w.+/=-]*\d)\w[\w.+/=-]{14,}[\w=]"), _ID),
    (re.compile(r"\d+"), "#"),
)


@dataclass(slots=True)
class _Memory:
    times: int = 0
    callers: set[str] = field(default_factory=set)

    @property
    def common(self) -> bool:
        return self.times >= _TIMES and len(self.callers) >= _CALLERS


class Texts:
    """Remembers up to MAX_TEXTS texts; a new one replaces the one that was rare for longest."""

    def __init__(self) -> None:
        self._memories: dict[str, _Memory] = {}

    def note(self, text: str, caller: str, own: Iterable[str] = ()) -> str | None:
        """Returns the masked text once it came three times, from two callers.

        Returns None before that, and if it is empty or very long. `caller` is a fingerprint; `own`
        are ids and other
        words of this request, masked as ids.
        """
        if len(text) > _READ:  # a mask could miss the half of a word that is cut
            return None
        masked = _masked(text, own)
        if not masked:
            return None
        memory = self._memories.pop(masked, None) or self._new()
        if memory is None:
            return None
        self._memories[masked] = memory
        memory.times = min(memory.times + 1, _TIMES)
        if len(memory.callers) < _CALLERS:
            memory.callers.add(caller)
        return masked if memory.common else None

    def _new(self) -> _Memory | None:
        """Makes room for one more; returns None while all remembered texts are common."""
        if len(self._memories) >= MAX_TEXTS:
            rare = next((text for text, memory in self._memories.items() if not memory.common), None)
            if rare is None:
                return None
            del self._memories[rare]
        return _Memory()


def _masked(text: str, own: Iterable[str]) -> str:
    for word in sorted(filter(None, own), key=len, reverse=True):
        text = text.replace(word, _ID)
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(printable.split())[:MAX_SIGNS]
