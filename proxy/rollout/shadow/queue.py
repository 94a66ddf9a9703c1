"""Shadowing: the candidate runs after the client has its answer, in a bounded queue, and is compared.

Nothing here can affect the client: an error becomes an outcome with its reason.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import structlog

from proxy.compare import CompareRules, Difference, compare
from proxy.rollout.shadow.outcome import DIFFERENCE, MATCH, ShadowOutcome, dropped, dry_run_failed
from proxy.upstream.trace_context import TraceContext
from proxy.values import Answer

_JOBS: Final = 64
_BYTES: Final = 512 * 1024 * 1024
# One after the other: a candidate may use only the process's spare time, never a client's.
_AT_ONCE: Final = 1

_log: Final = structlog.get_logger("proxy.shadow")


class Dropped(Exception):
    """A candidate that can't be compared; `reason` is a short code that is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a candidate's run.

    It holds both answers in the form to compare, pairs of words for the same thing on both sides, and the
    faults that the dry run found.
    """

    control: Answer
    candidate: Answer
    same: Sequence[tuple[str, str]] = field(default=(), repr=False)
    failures: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A request whose candidate is still to run; `size` is the number of bytes that it holds.

    `trace` is the run's own, and `caused_by` the request's; both are None if no spans are made.
    `mapping` is the digest of the route that answered: a later mapping does not count its comparison.
    """

    route: str
    mapping: str
    organization: str
    request_id: str
    rules: CompareRules
    seconds: float
    size: int
    run: Callable[[], Awaitable[Ran]] = field(repr=False)
    close: Callable[[], None] = field(repr=False)
    trace: TraceContext | None = None
    caused_by: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """The end of a job; `seconds` is None for one that did not run to its end."""

    job: Job
    outcome: ShadowOutcome
    differences: tuple[Difference, ...] = ()
    seconds: float | None = None


Digest: TypeAlias = Callable[[str], str]


class ShadowQueue:
    """The queue of jobs; `report` gets every job's end exactly once."""

    def __init__(self, digest: Digest, report: Callable[[Compared], None]) -> None:
        self._digest = digest
        self._report = report
        self._queue: asyncio.Queue[Job] = asyncio.Queue(_JOBS)
        self._held = 0

    def offer(self, job: Job) -> None:
        """Takes the job, or drops it if there is no room; never waits."""
        if self._held + job.size > _BYTES or self._queue.full():
            self._finish(Compared(job, dropped("queue-full")))
            return
        self._held += job.size
        self._queue.put_nowait(job)

    @property
    def waiting(self) -> int:
        """Returns the number of jobs that wait."""
        return self._queue.qsize()

    async def idle(self) -> None:
        """Returns once the end of every job that was taken is reported."""
        await self._queue.join()

    async def work(self) -> None:
        """Runs jobs for ever."""
        while True:
            job = await self._queue.get()
            try:
                started = asyncio.get_running_loop().time()
                compared = await self._compared(job)
                self._finish(replace(compared, seconds=asyncio.get_running_loop().time() - started))
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
        # A task of its own holds any error that the job raises.
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
        return await asyncio.to_thread(self._outcome, job, task.result())

    def _outcome(self, job: Job, ran: Ran) -> Compared:
        if ran.failures:
            return Compared(job, dry_run_failed(ran.failures[0]))
        differences = tuple(compare(ran.control, ran.candidate, job.rules, self._digest, ran.same))
        return Compared(job, DIFFERENCE if differences else MATCH, differences)

    def _finish(self, compared: Compared) -> None:
        compared.job.close()
        self._report(compared)


async def _run(job: Job) -> Ran:
    try:
        async with asyncio.timeout(job.seconds):
            return await job.run()
    except TimeoutError:
        raise Dropped("timeout") from None


@asynccontextmanager
async def shadowing(shadow: ShadowQueue) -> AsyncIterator[None]:
    """Runs candidates while the block runs; at its end, queued ones are dropped, and counted."""
    workers = [asyncio.create_task(shadow.work(), name="shadow") for _ in range(_AT_ONCE)]
    try:
        yield
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        shadow.drop_rest()
