"""Shadowing: the candidate runs after the client has its answer, in a bounded queue, and is compared.

Nothing in here can reach the client: what goes wrong becomes an outcome with its reason.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import structlog

from proxy.compare import Difference, Rules, compare
from proxy.dispatch.outcome import DIFFERENCE, MATCH, ShadowOutcome, dropped, dry_run_failed
from proxy.values import Answer

_JOBS: Final = 64
_BYTES: Final = 512 * 1024 * 1024
# One after the other: a candidate takes the time that the process has left over, not a client's.
_AT_ONCE: Final = 1

_log: Final = structlog.get_logger("proxy.shadow")


class Dropped(Exception):
    """A candidate that can't be compared; `reason` is a short code that is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ran:
    """What a candidate came to: both answers as they are to be compared, the words that mean the same on both
    sides, and what its dry run found wrong."""

    control: Answer
    candidate: Answer
    same: Sequence[tuple[str, str]] = field(default=(), repr=False)
    failures: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A request whose candidate is still to run. `size` are the bytes that are kept of it."""

    route: str
    organization: str
    request_id: str
    rules: Rules
    seconds: float
    size: int
    run: Callable[[], Awaitable[Ran]] = field(repr=False)
    close: Callable[[], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Compared:
    """A job and how it ended."""

    job: Job
    outcome: ShadowOutcome
    differences: tuple[Difference, ...] = ()


Digest: TypeAlias = Callable[[str], str]


class Shadow:
    """The queue. `told` hears of every job exactly once."""

    def __init__(self, digest: Digest, told: Callable[[Compared], None]) -> None:
        self._digest = digest
        self._told = told
        self._queue: asyncio.Queue[Job] = asyncio.Queue(_JOBS)
        self._held = 0

    def offer(self, job: Job) -> None:
        """Takes the job, or drops it where there is no room; never waits."""
        if self._held + job.size > _BYTES or self._queue.full():
            self._finish(Compared(job, dropped("queue-full")))
            return
        self._held += job.size
        self._queue.put_nowait(job)

    async def idle(self) -> None:
        """Returns once every job that was taken is told of."""
        await self._queue.join()

    async def work(self) -> None:
        """Runs jobs for ever."""
        while True:
            job = await self._queue.get()
            try:
                self._finish(await self._compared(job))
            finally:
                self._held -= job.size
                self._queue.task_done()

    def drop_rest(self) -> None:
        while not self._queue.empty():
            job = self._queue.get_nowait()
            self._held -= job.size
            self._finish(Compared(job, dropped("stopped")))
            self._queue.task_done()

    async def _compared(self, job: Job) -> Compared:
        # In a task of its own: whatever it raises stays there, to be looked at.
        task = asyncio.create_task(_run(job), name="shadow-candidate")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            self._finish(Compared(job, dropped("stopped")))
            raise
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Dropped):
            return Compared(job, dropped(error.reason))
        if error is not None or task.cancelled():
            _log.error("candidate_crashed", route=job.route, request_id=job.request_id, exc_info=error)
            return Compared(job, dropped("crashed"))
        return await asyncio.to_thread(self._judged, job, task.result())

    def _judged(self, job: Job, ran: Ran) -> Compared:
        if ran.failures:
            return Compared(job, dry_run_failed(ran.failures[0]))
        differences = tuple(compare(ran.control, ran.candidate, job.rules, self._digest, ran.same))
        return Compared(job, DIFFERENCE if differences else MATCH, differences)

    def _finish(self, compared: Compared) -> None:
        compared.job.close()
        self._told(compared)


async def _run(job: Job) -> Ran:
    try:
        async with asyncio.timeout(job.seconds):
            return await job.run()
    except TimeoutError:
        raise Dropped("timeout") from None


@asynccontextmanager
async def shadowing(shadow: Shadow) -> AsyncIterator[None]:
    """Candidates run while the block does; what is queued at its end is dropped, and counted."""
    workers = [asyncio.create_task(shadow.work(), name="shadow") for _ in range(_AT_ONCE)]
    try:
        yield
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        shadow.drop_rest()
