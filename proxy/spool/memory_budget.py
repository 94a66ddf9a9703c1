"""Counts the memory that all spools of a process share, beyond what each may use alone."""

from typing import Final

ROOM: Final = 40 * 1024 * 1024


class MemoryBudget:
    """Bytes of memory for all users together; who finds none free writes to disk instead."""

    def __init__(self, size: int = ROOM) -> None:
        self._left = size

    @property
    def left(self) -> int:
        """Returns how many bytes are free."""
        return self._left

    def take(self, size: int) -> bool:
        """Takes so many bytes, if all of them are free; returns whether it did."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        self._left += size
