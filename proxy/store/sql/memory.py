"""Caches small values of the store in memory, for as long as nobody has changed them."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["session", "home", "legacy_token", "case"]

ALL: Final = "*"  # the subject of a change that ends all cached values

_MOST: Final = 10_000
_FRESH_SECONDS: Final = 1.0


class Memory:
    """A cache of the values that were used last, by kind and key; a change with their subject ends them.

    Absence is never cached. A value is used only if this process has asked the store within the last second
    for the others' changes (`Changes.follow`). A process that was stopped for a while, and a command that
    follows no changes, read the store. `monotonic` returns seconds.
    """

    def __init__(self, monotonic: Callable[[], float], most: int = _MOST) -> None:
        self._monotonic = monotonic
        self._most = most
        self._values: OrderedDict[tuple[Kind, str], Any] = OrderedDict()
        self._asked_at: float | None = None
        self._mark = 0

    def get(self, kind: Kind, key: str) -> Any:
        """Returns the value; None when it is not cached or may be stale."""
        value = self._values.get((kind, key))
        if value is None or not self.fresh():
            return None
        self._values.move_to_end((kind, key))
        return value

    def fresh(self) -> bool:
        """Returns whether this process has followed the others' changes within the last second."""
        return self._asked_at is not None and self._monotonic() - self._asked_at <= _FRESH_SECONDS

    def mark(self) -> int:
        """Returns the mark for `keep`; take it before the store is read or written."""
        return self._mark

    def keep(self, kind: Kind, key: str, value: Any, mark: int) -> None:
        """Caches the value, unless something was forgotten since `mark`: the value may be older than that."""
        if mark != self._mark or not self.fresh():
            return
        self._values[kind, key] = value
        self._values.move_to_end((kind, key))
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self, subjects: Iterable[str]) -> None:
        """Drops the values that these changes end."""
        for subject in subjects:
            self._mark += 1
            if subject == ALL:
                self._values.clear()
            kind, _, key = subject.partition(":")
            self._values.pop((kind, key), None)  # type: ignore[arg-type]

    def asked(self, at: float) -> None:
        """Notes that all values that others had changed by `at` are forgotten; `at` is of `monotonic`."""
        self._asked_at = at


def subject_of(kind: Kind, key: str) -> str:
    """Returns the subject of a change to this one value."""
    return f"{kind}:{key}"
