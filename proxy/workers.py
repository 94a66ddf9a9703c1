"""Runs work on hostile files in processes that may hang or die without harm to anyone else."""

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext, suppress
from copy import copy
from importlib import import_module
from multiprocessing import get_context
from types import TracebackType
from typing import Final, Self, TypeVar

from pebble import CONSTS, ProcessPool

T = TypeVar("T")

PROCESSES: Final = 3
_LONG: Final = PROCESSES - 1  # of them for what may take its time
_TASKS_EACH: Final = 100  # then a process is replaced: parsers leak
_MEMORY: Final = 1536 * 1024 * 1024
_POLL_SECONDS: Final = 0.02  # how soon a pool sees that a process is there, or gone; by itself 0.1
_START_SECONDS: Final = 15.0  # allowed, over a task's own time, for a process to be there


class WorkerTimeout(Exception):
    """The task did not end within its time; its process is killed."""


class WorkerCrashed(Exception):
    """The task ended without a result. `cause` is the name of an error's type; no data is kept."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Workers:
    """Processes for tasks on hostile files, and for what would hold up the loop; an async context manager.

    Files may be made to take all the time that they are given, so they never have all of the processes.

    Nothing is started before the first `run` or `warm`. `modules`, those of the tasks, are imported once, in
    the fork server that the processes come from: they share that memory, and a new one is there at once.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self._processes = tuple(_Process(modules) for _ in range(PROCESSES))
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._long = asyncio.Semaphore(_LONG)
        for process in self._processes:
            self._idle.put_nowait(process)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(process.close() for process in self._processes))

    async def warm(self) -> None:
        """Start the processes and wait until they are ready, their modules imported."""
        await asyncio.gather(*(self.run(_nothing, seconds=_START_SECONDS) for _ in self._processes))

    async def run(
        self,
        task: Callable[..., T],
        *args: object,
        seconds: float,
        raises: type[Exception] | tuple[type[Exception], ...] = (),
        long: bool = False,
    ) -> T:
        """What `task(*args)` returns; `task` is a function of a module that may be run twice.

        `long` says that it may take its time, and leaves a process to those that don't. Its `seconds` begin
        when a process takes it. Raises WorkerTimeout when they are over, the errors in
        `raises` as the task raised them, and WorkerCrashed for any other end: other errors may quote the
        file. A cancelled call kills its task.
        """
        async with self._long if long else nullcontext():
            process = await self._idle.get()
            try:
                future = await process.ended(task, args, seconds)
                if _lost(future):
                    future = await process.ended(task, args, seconds)
            finally:
                self._idle.put_nowait(process)
        return _result(future, raises)


class _Process:
    """One process at a time, in a pool of its own: what breaks a pool takes all of its tasks along.

    It comes from a fork server, which has one thread, so that it is replaced in milliseconds when it was
    killed.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._pool = _new_pool(modules)

    async def ended(self, task: Callable[..., T], args: tuple[object, ...], seconds: float) -> Future[T]:
        """The future of the task, done, or cancelled when nothing was heard of it in time."""
        try:
            await self._start()
            future: Future[T] = self._pool.schedule(task, args=args, timeout=seconds)
        except RuntimeError as error:
            raise WorkerCrashed(type(error).__name__) from None
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds + _START_SECONDS):
                    await ended.wait()
        finally:
            future.cancel()
        return future

    async def close(self) -> None:
        await asyncio.to_thread(_close, self._pool)

    async def _start(self) -> None:
        """Start the pool, or a new one where a process that died in an idle moment has broken it."""
        if not await asyncio.to_thread(_is_active, self._pool):
            broken, self._pool = self._pool, _new_pool(self._modules)
            await asyncio.to_thread(_close, broken)
            await asyncio.to_thread(_is_active, self._pool)


def _new_pool(modules: Sequence[str]) -> ProcessPool:
    context = get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    CONSTS.sleep_unit = _POLL_SECONDS
    return ProcessPool(
        1, max_tasks=_TASKS_EACH, initializer=_confine, initargs=(tuple(modules),), context=context
    )


def _is_active(pool: ProcessPool) -> bool:
    """Whether the pool works; starts it, which blocks, if it is new."""
    return pool.active


def _close(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _lost(future: Future[T]) -> bool:
    """Whether the pool broke, perhaps before it took the task: its process may have died while idle."""
    return not future.cancelled() and isinstance(future.exception(), BrokenProcessPool)


def _result(future: Future[T], raises: type[Exception] | tuple[type[Exception], ...]) -> T:
    error = None if future.cancelled() else future.exception()
    if future.cancelled() or isinstance(error, TimeoutError):
        raise WorkerTimeout("worker-timeout")
    if isinstance(error, raises):
        # A copy: the pool keeps the error itself, and that would keep all frames that it went through.
        raise copy(error) from None
    if error is not None:
        raise WorkerCrashed(type(error).__name__)
    return future.result()


def _confine(modules: Sequence[str]) -> None:
    """Prepares a worker process: modules loaded, memory limited, killed at once, and silent.

    Silent, since libraries quote files in their warnings. No core dump, since it would hold a patient's data.
    """
    for name in modules:
        import_module(name)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's own handler waits for C code to return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def _nothing() -> None:
    """The task of `warm`."""
