"""The time that a route has, in which nothing counts that its client takes to send (docs/reliability.md)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta


async def untimed(
    arriving: AsyncIterator[bytes], limit: asyncio.Timeout, time: timedelta
) -> AsyncIterator[bytes]:
    """Gives the bytes on; from each of them, and from their end, the limit is so far away.

    While the client is waited for there is none: `arriving` has a patience of its own.
    """
    _end(limit, None)
    async for piece in arriving:
        _end(limit, time)
        yield piece
        _end(limit, None)
    _end(limit, time)


def _end(limit: asyncio.Timeout, time: timedelta | None) -> None:
    """Moves the limit, unless it is over: what goes on after it is no part of the answer."""
    with suppress(RuntimeError):
        now = asyncio.get_running_loop().time()
        limit.reschedule(None if time is None else now + time.total_seconds())
