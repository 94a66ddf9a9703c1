"""Runs work that outlives its request, or runs beside a block: owned, named, ended, its failures logged."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import structlog

T = TypeVar("T")

_log: Final = structlog.get_logger("proxy.tasks")


class Tasks:
    """The running tasks of this process."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Starts work that no caller awaits; its failure is logged."""
        self._own(name, work).add_done_callback(_report)

    async def finish(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Awaits work that runs to its end even if the caller is cancelled.

        After a cancellation, a failure of the work is logged.
        """
        task = self._own(name, work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise

    async def drain(self, seconds: float) -> None:
        """Waits for all tasks, those they start included; cancels what is left after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            _log.warning("tasks_cut_off", tasks=sorted(task.get_name() for task in self._running))
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _own(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


@asynccontextmanager
async def beside(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs work while the block runs, and ends it afterwards; its failure is logged."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _report(task: asyncio.Task[Any]) -> None:
    """Logs the failure of a task that no caller awaits."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("task_failed", task=task.get_name(), exc_info=error)
