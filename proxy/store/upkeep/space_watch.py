"""Warns in the log before the store's disk is full: once when less than a tenth is free, and once after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from proxy.concurrency.tasks import beside
from proxy.store.errors import StoreError
from proxy.store.upkeep.probe import Space

_LOOK_SECONDS: Final = 60.0

_log: Final = structlog.get_logger("proxy.space")


class SpaceWatch:
    """A watch of the fullest disk of the store; it logs only changes since the last check."""

    def __init__(self, space: Callable[[], Awaitable[Space | None]]) -> None:
        self._space = space
        self._low = False

    async def look(self) -> None:
        """Logs that the disk has become low, or is no longer low."""
        space = await self._space()
        if space is not None and space.low != self._low:
            self._low = space.low
            log = _log.warning if space.low else _log.info
            event = "store_space_low" if space.low else "store_space_enough"
            log(event, free_bytes=space.free, free_percent=round(space.share * 100, 1))


@asynccontextmanager
async def watching_space(space: Callable[[], Awaitable[Space | None]]) -> AsyncIterator[None]:
    """Checks the disk each minute while the block runs."""
    watch = SpaceWatch(space)

    async def watching() -> None:
        while True:
            try:
                await watch.look()
            except StoreError:
                _log.exception("store_space_unknown")
            await asyncio.sleep(_LOOK_SECONDS)

    async with beside("store-space", watching()):
        yield
