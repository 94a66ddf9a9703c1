"""Lists the open rows on which this process works: each other one under its name is left over."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InHand:
    """The names of the rows that this process works on; several of its tasks may work on one."""

    def __init__(self) -> None:
        self._names: Counter[object] = Counter()

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @contextmanager
    def holding(self, names: Iterable[object]) -> Iterator[None]:
        """Lists the rows while the block runs; it begins before they are written as open."""
        held = [*names]
        self._names.update(held)
        try:
            yield
        finally:
            for name in held:
                self._names[name] -= 1
                if not self._names[name]:
                    del self._names[name]
