"""Reads several streams one after the other, while the next ones are already on their way."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


async def ahead(sources: Iterable[AsyncGenerator[T, None]], most: int, room: int) -> AsyncGenerator[T, None]:
    """Yields the items of all sources, in order; an error of a source comes in its turn.

    Up to `most` sources are read at a time, and each waits once `room` of its items were not taken yet.
    """
    coming = iter(sources)
    running = deque(_Reading(each, room) for each in islice(coming, most))
    try:
        while running:
            async for item in running[0].items():
                yield item
            running.popleft()
            running.extend(_Reading(each, room) for each in islice(coming, 1))
    finally:
        for each in running:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in running), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _End:
    """The mark after the last item."""


class _Reading(Generic[T]):
    """A source that is being read."""

    def __init__(self, source: AsyncGenerator[T, None], room: int) -> None:
        self._items: asyncio.Queue[T | _End] = asyncio.Queue()
        self._room = asyncio.Semaphore(room)
        self.task = asyncio.create_task(self._read(source), name="read-ahead")
        self.task.add_done_callback(lambda _: self._items.put_nowait(_End()))

    async def items(self) -> AsyncIterator[T]:
        while not isinstance(item := await self._items.get(), _End):
            yield item
            self._room.release()
        await self.task

    async def _read(self, source: AsyncGenerator[T, None]) -> None:
        async with aclosing(source):
            async for item in source:
                await self._room.acquire()
                self._items.put_nowait(item)
