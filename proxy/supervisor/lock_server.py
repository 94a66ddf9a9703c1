"""Hands out one first-come-first-served lock for each key, to several processes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from typing import TypeAlias

from proxy.concurrency.locks import Hold

# The name of the process that asks, and the number of its request.
Ticket: TypeAlias = tuple[str, int]


class LockServer:
    """The lock server, in the parent process: the queue of every lock."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Ticket]] = {}
        self._keys: dict[Ticket, str] = {}

    def ask(self, ticket: Ticket, key: str) -> bool:
        """Queues a ticket for a lock, and returns whether the lock is granted at once."""
        queue = self._queues.setdefault(key, deque())
        queue.append(ticket)
        self._keys[ticket] = key
        return len(queue) == 1

    def give_back(self, ticket: Ticket) -> Ticket | None:
        """Returns the ticket that now gets the lock, if any.

        A ticket that still waits may be given back too: it leaves the queue.
        """
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
        """Gives back all tickets of a process that ended, and returns those that now get a lock."""
        granted = [self.give_back(ticket) for ticket in [*self._keys] if ticket[0] == who]
        return [ticket for ticket in granted if ticket is not None and ticket[0] != who]


class LockServerGone(Exception):
    """The lock server has ended: work that needs a lock can't be done in order any more."""


class RemoteLocks:
    """The lock server's client, in a worker; it sends keys as hashes, since tokens are among them."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._numbers = count()
        self._granted: dict[int, asyncio.Future[None]] = {}
        self._gone = False

    @asynccontextmanager
    async def hold(self, *key: Hashable) -> AsyncIterator[Hold]:
        """Holds the lock of a key. Raises LockServerGone when the lock server has ended."""
        if self._gone:
            raise LockServerGone
        number = next(self._numbers)
        granted = self._granted[number] = asyncio.get_running_loop().create_future()
        self._send(ask=number, key=sha256(repr(key).encode()).hexdigest())
        try:
            await granted
            yield Hold()
        finally:
            del self._granted[number]
            self._send(give_back=number)

    def grant(self, number: int) -> None:
        """Wakes the waiter with this number: the lock server grants it the lock."""
        granted = self._granted.get(number)
        if granted is not None and not granted.done():
            granted.set_result(None)

    def lose_desk(self) -> None:
        """Ends every wait with LockServerGone; a lock that is held stays held."""
        self._gone = True
        for granted in self._granted.values():
            if not granted.done():
                granted.set_exception(LockServerGone())
