"""Work that outlives its request: owned, named, logged when it fails, drained at the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

T = TypeVar("T")

_log: Final = structlog.get_logger("proxy.tasks")


class Tasks:
    """The tasks that are under way in this process."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin work that nobody waits for; its failure is logged."""
        self._own(name, self._logged(name, work))

    async def finish(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Await work that goes on to its end even if the caller is cancelled."""
        return await asyncio.shield(self._own(name, work))

    async def drain(self, seconds: float) -> None:
        """Wait for all tasks, those they start included; cancel what is left after `seconds`."""
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

    async def _logged(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # noqa: BLE001  nobody awaits this task: the log is where its failure shows
            _log.exception("task_failed", task=name)
