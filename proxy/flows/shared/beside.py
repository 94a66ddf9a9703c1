"""Runs two calls at the same time, and waits for the end of each."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Generic, TypeVar

from proxy.errors import UpstreamError

T = TypeVar("T")
U = TypeVar("U")


class UnderWay(Generic[T]):
    """A started call, as a context manager: the call never outlives its block."""

    def __init__(self, call: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.create_task(call)

    async def __aenter__(self) -> asyncio.Task[T]:
        return self._task

    async def __aexit__(self, *_: object) -> None:
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # marks it as retrieved: the block has seen it, or left for another reason


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Returns both results. Raises the error of a failed call only after the other call has ended."""
    async with UnderWay(first) as one, UnderWay(second) as other:
        await asyncio.wait({one, other})
        return await one, await other


async def end_of(call: Awaitable[T]) -> T | UpstreamError:
    """Returns the result of the call, or its error."""
    try:
        return await call
    except UpstreamError as error:
        return error
