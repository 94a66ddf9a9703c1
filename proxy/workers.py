"""Runs work on hostile files in processes that may hang or die without harm to anyone else."""

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from types import TracebackType
from typing import Final, Self, TypeVar

from pebble import ProcessPool

T = TypeVar("T")

PROCESSES: Final = 2
_TASKS_EACH: Final = 100  # then a process is replaced: parsers leak
_MEMORY: Final = 1536 * 1024 * 1024
_START_SECONDS: Final = 15.0  # allowed, over a task's own time, for a process to be there
_MODULES: Final = ("proxy.text.extract", "proxy.audio.duration")


class WorkerTimeout(Exception):
    """The task did not end within its time; its process is killed."""


class WorkerCrashed(Exception):
    """The task ended without a result. `cause` is the name of an error's type; no data is kept."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Workers:
    """Two processes for tasks on hostile files; an async context manager.

    They come from a fork server, which has one thread and the parsers imported, so that a killed process is
    replaced in milliseconds. Nothing is started before the first `run` or `warm`.
    """

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self._opening = asyncio.Lock()
        # Tasks wait here, not in the pool's queue, so that one breaking the pool takes few others along.
        self._turns = asyncio.Semaphore(PROCESSES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(_close, pool)

    async def warm(self) -> None:
        """Start the processes and wait until one of them is ready, with the parsers imported."""
        await self.run(_nothing, seconds=_START_SECONDS)

    async def run(
        self,
        task: Callable[..., T],
        *args: object,
        seconds: float,
        raises: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> T:
        """What `task(*args)` returns; `task` is a function of a module that may be run twice.

        Its `seconds` begin when a process takes it. Raises WorkerTimeout when they are over, the errors in
        `raises` as the task raised them, and WorkerCrashed for any other end: other errors may quote the
        file. A death that goes unnoticed ends as WorkerTimeout. A cancelled call kills its task.
        """
        async with self._turns:
            future = await self._ended(task, args, seconds)
            if _lost(future):
                future = await self._ended(task, args, seconds)
        return _result(future, raises)

    async def _ended(self, task: Callable[..., T], args: tuple[object, ...], seconds: float) -> Future[T]:
        """The future of the task, done, or cancelled when nothing was heard of it in time."""
        try:
            pool = await self._running_pool()
            future: Future[T] = pool.schedule(task, args=args, timeout=seconds)
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

    async def _running_pool(self) -> ProcessPool:
        """The pool, made anew where a process that died in an idle moment has broken it."""
        async with self._opening:
            pool = self._pool = self._pool or _new_pool()
            if not await asyncio.to_thread(_is_active, pool):
                self._pool = _new_pool()
                await asyncio.to_thread(_close, pool)
                await asyncio.to_thread(_is_active, self._pool)
            return self._pool


def _new_pool() -> ProcessPool:
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_MODULES))
    return ProcessPool(PROCESSES, max_tasks=_TASKS_EACH, initializer=_confine, context=context)


def _is_active(pool: ProcessPool) -> bool:
    """Whether the pool works; starts it, which blocks, if it is new."""
    return pool.active


def _close(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _lost(future: Future[T]) -> bool:
    """Whether the pool broke around the task, which is then most likely innocent."""
    return not future.cancelled() and isinstance(future.exception(), BrokenProcessPool)


def _result(future: Future[T], raises: type[Exception] | tuple[type[Exception], ...]) -> T:
    error = None if future.cancelled() else future.exception()
    if future.cancelled() or isinstance(error, TimeoutError):
        raise WorkerTimeout("worker-timeout")
    if isinstance(error, raises):
        raise error from None
    if error is not None:
        raise WorkerCrashed(type(error).__name__)
    return future.result()


def _confine() -> None:
    """Prepares a worker process: parsers loaded, memory limited, killed at once, and silent.

    Silent, since libraries quote files in their warnings. No core dump, since it would hold a patient's data.
    """
    for name in _MODULES:
        import_module(name)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's own handler waits for C code to return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def _nothing() -> None:
    """The task of `warm`."""
