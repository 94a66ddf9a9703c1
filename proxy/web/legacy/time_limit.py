"""Pauses a route's time limit while its client sends (docs/reliability.md)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta


async def untimed(
    arriving: AsyncIterator[bytes], limit: asyncio.Timeout, time: timedelta
) -> AsyncIterator[bytes]:
    """Yields the bytes; the limit starts again at each piece, and at the end of the body.

    There is no limit while it waits for the client: `arriving` has a timeout of its own.
    """
    _end(limit, None)
    async for piece in arriving:
        _end(limit, time)
        yield piece
        _end(limit, None)
    _end(limit, time)


def _end(limit: asyncio.Timeout, time: timedelta | None) -> None:
    """Moves the limit, unless it has expired: the answer is decided by then."""
    with suppress(RuntimeError):
        now = asyncio.get_running_loop().time()
        limit.reschedule(None if time is None else now + time.total_seconds())
