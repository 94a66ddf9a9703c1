"""Calls made at the same time, each seen to its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from proxy.errors import UpstreamError

T = TypeVar("T")


@asynccontextmanager
async def under_way(call: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """The call, begun; it doesn't outlive the block."""
    task = asyncio.create_task(call)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def end_of(call: Awaitable[T]) -> T | UpstreamError:
    """What the call gave, or how it failed."""
    try:
        return await call
    except UpstreamError as error:
        return error
