"""Calls made at the same time, each seen to its end."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Generic, TypeVar

from proxy.errors import UpstreamError

T = TypeVar("T")
U = TypeVar("U")


class UnderWay(Generic[T]):
    """Gives the call, begun, to a block that it doesn't outlive."""

    def __init__(self, call: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.create_task(call)

    async def __aenter__(self) -> asyncio.Task[T]:
        return self._task

    async def __aexit__(self, *_: object) -> None:
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # the block has seen it, or left for a reason of its own


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """What the two give, made at the same time; where one fails, the other is seen to its end first."""
    async with UnderWay(first) as one, UnderWay(second) as other:
        await asyncio.wait({one, other})
        return await one, await other


async def end_of(call: Awaitable[T]) -> T | UpstreamError:
    """What the call gave, or how it failed."""
    try:
        return await call
    except UpstreamError as error:
        return error
