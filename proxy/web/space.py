"""Warns in the log before the store's disk is full: once when less than a tenth is free, and once after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from proxy.store import Space, Store, StoreError
from proxy.tasks import beside

_LOOK_SECONDS: Final = 60.0

_log: Final = structlog.get_logger("proxy.space")


class SpaceWatch:
    """Looks at the room of the disk that has the least; says only what has changed since the last look."""

    def __init__(self, space: Callable[[], Awaitable[Space]]) -> None:
        self._space = space
        self._low = False

    async def look(self) -> None:
        """Writes a line to the log where the disk has become low, or is low no more."""
        space = await self._space()
        if space.low != self._low:
            self._low = space.low
            told = _log.warning if space.low else _log.info
            event = "store_space_low" if space.low else "store_space_enough"
            told(event, free_bytes=space.free, free_percent=round(space.share * 100, 1))


@asynccontextmanager
async def watching_space(store: Store) -> AsyncIterator[None]:
    """Looks each minute while the block runs."""
    watch = SpaceWatch(store.space)

    async def watching() -> None:
        while True:
            try:
                await watch.look()
            except StoreError:
                _log.exception("store_space_unknown")
            await asyncio.sleep(_LOOK_SECONDS)

    async with beside("store-space", watching()):
        yield
