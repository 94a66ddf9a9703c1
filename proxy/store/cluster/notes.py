"""Listens to PostgreSQL's notes between processes (NOTIFY): each only makes a process look sooner."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from proxy.concurrency.tasks import beside
from proxy.store.sql.dialects import OVERRIDDEN
from proxy.store.sql.postgresql.connections import Server
from proxy.store.sql.postgresql.errors import DRIVER_ERRORS

LOCKS: Final = "michiq_locks"  # a lock was given back
CHANNELS: Final = (LOCKS, OVERRIDDEN)
_AGAIN_SECONDS: Final = 5.0

_log: Final = structlog.get_logger("proxy.notes")


class Notes:
    """The functions that are called when a note comes on a channel.

    A note may be lost with its connection, so nobody relies on it: everybody also looks from time to time.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._calls: dict[str, Callable[[], None]] = {}

    def when(self, channel: str, call: Callable[[], None]) -> None:
        """Calls the function at each note of the channel."""
        self._calls[channel] = call

    def _call(self, _connection: object, _process: int, channel: str, _payload: object) -> None:
        if call := self._calls.get(channel):
            call()

    async def listen(self) -> None:
        """Listens for ever, on a connection of its own."""
        while True:
            try:
                await self._listen()
            except DRIVER_ERRORS:
                _log.warning("notes_not_followed", exc_info=True)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _listen(self) -> None:
        driver = await self._server.connect()
        ended = asyncio.Event()
        try:
            driver.add_termination_listener(lambda _: ended.set())
            for channel in CHANNELS:
                await driver.add_listener(channel, self._call)
            await ended.wait()
        finally:
            driver.terminate()


@asynccontextmanager
async def listening(notes: Notes, server: Server) -> AsyncIterator[None]:
    """Listens while the block runs; behind a pooler, which passes no notes on, it does nothing."""
    if server.pooler:
        yield
        return
    async with beside("notes", notes.listen()):
        yield
