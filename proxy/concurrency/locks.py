"""Locks that exist only while a task holds or awaits them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol


class LockLost(Exception):
    """An error: the lock was lost while it was held, and another process may hold it now."""


class Hold:
    """A lock that is held. `lapsed` says that the holder before was lost, maybe in the middle of its work."""

    def __init__(self, *, lapsed: bool = False) -> None:
        self.lapsed = lapsed
        self._lost = False
        self._task: asyncio.Task[Any] | None = None

    def lose(self) -> None:
        """Ends the work that is done under the lock."""
        self._lost = True
        if self._task is not None:
            self._task.cancel()

    @asynccontextmanager
    async def ending_with_it(self) -> AsyncIterator[None]:
        """Cancels the block, in whichever task it runs, when the lock is lost. Raises LockLost then."""
        outer, self._task = self._task, asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self._lost and self._task is not None and self._task.uncancel() == 0:
                raise LockLost from None
            raise
        finally:
            self._task = outer


class Locks(Protocol):
    """First-come-first-served locks, one for each key."""

    def hold(self, *key: Hashable) -> AbstractAsyncContextManager[Hold]: ...


class KeyedLocks:
    """First-come-first-served locks, one for each key, within this process."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._users: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def hold(self, *key: Hashable) -> AsyncIterator[Hold]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                yield Hold()
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]
