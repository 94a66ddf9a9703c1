"""One first-come-first-served lock for each key, for several processes: a desk hands them out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from typing import TypeAlias

# Who asks, and which of their requests it is.
Ticket: TypeAlias = tuple[str, int]


class Desk:
    """The parent's side: who has which lock, and who is next."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Ticket]] = {}
        self._keys: dict[Ticket, str] = {}

    def ask(self, ticket: Ticket, key: str) -> bool:
        """Whether the lock is granted at once."""
        queue = self._queues.setdefault(key, deque())
        queue.append(ticket)
        self._keys[ticket] = key
        return len(queue) == 1

    def give_back(self, ticket: Ticket) -> Ticket | None:
        """Whom the lock is granted to by this. Who still waits may give back too: the place in the queue."""
        key = self._keys.pop(ticket, None)
        if key is None:
            return None
        queue = self._queues[key]
        was_first = queue[0] == ticket
        queue.remove(ticket)
        if not queue:
            del self._queues[key]
        return queue[0] if queue and was_first else None

    def forget(self, who: str) -> list[Ticket]:
        """Whom locks are granted to by the end of this process."""
        granted = [self.give_back(ticket) for ticket in [*self._keys] if ticket[0] == who]
        return [ticket for ticket in granted if ticket is not None and ticket[0] != who]


class DeskGone(Exception):
    """Nobody hands out locks any more: what needs one can't be done in order."""


class DeskLocks:
    """The side of a process that asks. Keys leave it as hashes only: tokens are among them."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._numbers = count()
        self._granted: dict[int, asyncio.Future[None]] = {}
        self._gone = False

    @asynccontextmanager
    async def hold(self, *key: Hashable) -> AsyncIterator[None]:
        """DeskGone where there is no desk any more."""
        if self._gone:
            raise DeskGone
        number = next(self._numbers)
        granted = self._granted[number] = asyncio.get_running_loop().create_future()
        self._send(ask=number, key=sha256(repr(key).encode()).hexdigest())
        try:
            await granted
            yield
        finally:
            del self._granted[number]
            self._send(give_back=number)

    def grant(self, number: int) -> None:
        """The desk says so."""
        granted = self._granted.get(number)
        if granted is not None and not granted.done():
            granted.set_result(None)

    def lose_desk(self) -> None:
        """Who waits is told; who holds a lock goes on."""
        self._gone = True
        for granted in self._granted.values():
            if not granted.done():
                granted.set_exception(DeskGone())
