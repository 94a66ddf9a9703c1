"""Runs work on hostile files in isolated processes, which may hang or die without harm to others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pickle import PickleError
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import structlog

from proxy.concurrency.later import Later, Timer, later
from proxy.isolated import wire
from proxy.isolated.channel import Died, TaskChannel
from proxy.isolated.process import nothing
from proxy.isolated.spawner import Spawner

T = TypeVar("T")

PROCESSES: Final = 3
_LONG: Final = PROCESSES - 1  # of these for long tasks
_TASKS_EACH: Final = 100  # then a process is replaced, since parsers leak memory
_START_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 600.0  # longer than a pause of a surgery; a new start takes a second

_log: Final = structlog.get_logger("proxy.workers")

_LOST: Final = ("lost",)
_DIED: Final = ("died",)
_LATE: Final = ("late",)


class WorkerTimeout(Exception):
    """The task did not end within its time; its process is killed."""


class WorkerCrashed(Exception):
    """The task ended without a result; `cause` is the name of an error's type, without data."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class IsolatedPool:
    """A pool of isolated processes for hostile files and slow work; an async context manager.

    A file may be made to use all of its time, so long tasks never get all of the processes.

    No process starts before the first `run` or `warm`. All end after ten minutes without a task, until
    the next
    one. `modules`, those of the tasks, are imported once, in the fork server that the processes come
    from: they
    share that memory, and a new one is there at once. A process may open only files in `readable` folders; an
    open file among a task's arguments is passed as a descriptor.
    """

    def __init__(
        self, modules: Sequence[str] = (), readable: Sequence[str] = (), later: Later = later
    ) -> None:
        self._later = later
        self._rest: Timer | None = None
        self._ending: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._under_way = 0
        self._spawner = Spawner(modules, readable)
        self._processes = tuple(_Process(self._spawner) for _ in range(PROCESSES))
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._long = asyncio.Semaphore(_LONG)
        for process in self._processes:
            self._idle.put_nowait(process)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rest is not None:
            self._rest.cancel()
        if self._warming is not None:
            self._warming.cancel()
        for task in filter(None, (self._warming, self._ending)):
            await asyncio.wait([task])
        await self._close()

    async def warm(self) -> None:
        """Starts a process and waits until it is ready, its modules imported: later ones fork from it."""
        await self.run(nothing, seconds=_START_SECONDS)

    def warm_soon(self) -> None:
        """Starts a process in the background."""
        self._warming = asyncio.create_task(self._try_to_warm(), name="workers-warm")

    async def _try_to_warm(self) -> None:
        try:
            await self.warm()
        except (WorkerCrashed, WorkerTimeout) as error:
            _log.warning("workers_not_started", cause=str(error))  # the next task tries again

    async def run(
        self,
        task: Callable[..., T],
        *args: object,
        seconds: float,
        raises: type[Exception] | tuple[type[Exception], ...] = (),
        long: bool = False,
    ) -> T:
        """Returns the result of `task(*args)`; `task` is a function of a module that may be run twice.

        The result consists of plain values, and of dataclasses of the task's module. `long` marks a
        slow task, which
        leaves a process to the others. `seconds` begin when a process takes the task. Raises
        WorkerTimeout when they
        are over, the errors in `raises` as the task raised them, and WorkerCrashed for any other end:
        other errors
        may quote the file. A cancelled call kills its task.
        """
        async with self._busy(), self._long if long else nullcontext():
            process = await self._idle.get()
            try:
                ended = await process.ended(task, args, seconds)
                if ended in (_LOST, wire.UNKNOWN):
                    self._spawner.learn(task.__module__)
                    ended = await process.ended(task, args, seconds)
            finally:
                self._idle.put_nowait(process)
        return cast("T", _result(ended, raises if isinstance(raises, tuple) else (raises,)))

    @asynccontextmanager
    async def _busy(self) -> AsyncIterator[None]:
        """Stops the processes from ending while any task runs or waits."""
        if self._rest is not None:
            self._rest.cancel()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._rest = self._later(IDLE_SECONDS, self._end_soon)

    def _end_soon(self) -> None:
        if not self._under_way and (self._ending is None or self._ending.done()):
            self._ending = asyncio.create_task(self._end(), name="workers-end")

    async def _end(self) -> None:
        """Ends all idle processes; a task that comes meanwhile waits for a new one."""
        for _ in self._processes:
            self._idle.get_nowait()
        try:
            await self._close()
        finally:
            for process in self._processes:
                self._idle.put_nowait(process)

    async def _close(self) -> None:
        await asyncio.gather(*(process.close() for process in self._processes))
        await self._spawner.close()


class _Process:
    """One isolated process at a time; replaced when it was killed or has done its number of tasks."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._channel: TaskChannel | None = None
        self._coming: asyncio.Task[TaskChannel] | None = None

    async def ended(
        self, task: Callable[..., object], args: Sequence[object], seconds: float
    ) -> tuple[Any, ...]:
        """Returns how the task ended: wire's answer, or that the process was lost, late, or died."""
        channel = await self._ready()
        answer: tuple[Any, ...] | None = None
        try:
            async with asyncio.timeout(seconds):
                answer = await channel.call(task, args)
        except TimeoutError:
            return _LATE
        except ConnectionError:
            return _LOST
        except Died:
            return _DIED
        except (*wire.BAD_PICKLE, PickleError, OSError) as error:
            raise WorkerCrashed(type(error).__name__) from None
        finally:
            if answer is None or answer == wire.UNKNOWN or channel.tasks >= _TASKS_EACH:
                self._drop()
        return answer

    async def close(self) -> None:
        if self._coming is not None:
            await asyncio.wait([self._coming])
            self._take()
        self._drop()

    async def _ready(self) -> TaskChannel:
        """Returns the channel of a process that waits for a task.

        Raises WorkerCrashed. A caller that is cancelled meanwhile leaves the process to the next.
        """
        if self._channel is not None and not self._channel.is_idle:
            self._drop()
        if self._channel is None:
            self._coming = self._coming or asyncio.create_task(self._spawner.spawn())
            await asyncio.wait([self._coming])
            self._take()
        if self._channel is None:
            raise WorkerCrashed("SpawnError")
        return self._channel

    def _take(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None and coming.exception() is None:
            self._channel = coming.result()

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _result(ended: tuple[Any, ...], raises: tuple[type[Exception], ...]) -> object:
    match ended:
        case ("returned", value):
            return value
        case ("late",):
            raise WorkerTimeout("worker-timeout")
        case ("raised", [str(cause), *_] as names, list(args)):
            raise _expected(names, args, raises) or WorkerCrashed(cause)
        case ("died" | "lost",):
            raise WorkerCrashed("ProcessExpired")
        case _:
            raise WorkerCrashed("UnknownModule")


def _expected(names: list[str], args: list[object], raises: tuple[type[Exception], ...]) -> Exception | None:
    """Returns the error as the task raised it, if it is one of the expected ones."""
    kinds = [kind for kind in raises if kind.__qualname__ in names]
    try:
        return kinds[0](*args) if kinds else None
    except TypeError:  # arguments of another error
        return None
