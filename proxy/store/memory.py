"""Keeps small values that were read from the store in memory, for as long as nobody has changed them."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["session", "home", "legacy_token", "case"]

ALL: Final = "*"  # the subject of a change after which nothing may be believed

_MOST: Final = 10_000
_FRESH_SECONDS: Final = 1.0


class Memory:
    """The values that were used last, by kind and key, each with the subject of the changes that end it.

    Absence is never kept. A value is given only while this process has asked the store within the last
    second what others changed (`Changes.follow`): a process that was stopped for a while, and a command that
    follows nothing, read the store. `monotonic` gives seconds.
    """

    def __init__(self, monotonic: Callable[[], float], most: int = _MOST) -> None:
        self._monotonic = monotonic
        self._most = most
        self._values: OrderedDict[tuple[Kind, str], Any] = OrderedDict()
        self._asked_at: float | None = None
        self._mark = 0

    def get(self, kind: Kind, key: str) -> Any:
        """Returns the value, None where it is not kept or can't be believed."""
        value = self._values.get((kind, key))
        if value is None or not self.fresh():
            return None
        self._values.move_to_end((kind, key))
        return value

    def fresh(self) -> bool:
        """Tells whether what others changed is known but for the last second."""
        return self._asked_at is not None and self._monotonic() - self._asked_at <= _FRESH_SECONDS

    def mark(self) -> int:
        """Returns what `keep` wants to be told: it is taken before the store is read or written."""
        return self._mark

    def keep(self, kind: Kind, key: str, value: Any, mark: int) -> None:
        """Keeps the value, unless something was forgotten since `mark`: it may be older than that."""
        if mark != self._mark or not self.fresh():
            return
        self._values[kind, key] = value
        self._values.move_to_end((kind, key))
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self, subjects: Iterable[str]) -> None:
        """Drops what these changes end."""
        for subject in subjects:
            self._mark += 1
            if subject == ALL:
                self._values.clear()
            kind, _, key = subject.partition(":")
            self._values.pop((kind, key), None)  # type: ignore[arg-type]

    def asked(self, at: float) -> None:
        """Notes that everything that others had changed by then is forgotten; `at` is of `monotonic`."""
        self._asked_at = at


def subject_of(kind: Kind, key: str) -> str:
    """Returns the subject of a change of this one value."""
    return f"{kind}:{key}"
