"""Calls made at the same time, each seen to its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from proxy.errors import UpstreamError

T = TypeVar("T")
U = TypeVar("U")


@asynccontextmanager
async def under_way(call: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """The call, begun; it doesn't outlive the block."""
    task = asyncio.create_task(call)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """What the two give, made at the same time; where one fails, the other is seen to its end first."""
    async with under_way(first) as one, under_way(second) as other:
        await asyncio.wait({one, other})
        return await one, await other


async def end_of(call: Awaitable[T]) -> T | UpstreamError:
    """What the call gave, or how it failed."""
    try:
        return await call
    except UpstreamError as error:
        return error
