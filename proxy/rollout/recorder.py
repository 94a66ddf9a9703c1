"""Records evidence: collects it in memory, and writes it each second, so that no client waits for it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Final, TypeAlias, TypeVar

import structlog

from proxy.concurrency.tasks import beside
from proxy.store import Store, StoreError
from proxy.store.audit.accesses import Access
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.usage import Visit
from proxy.store.rollout.canary_counts import CanaryCount, CanaryWindow
from proxy.store.rollout.evidence import Outcome, SeenAnswer
from proxy.store.rollout.series import SeriesCounts, SeriesKey, minute_of

T = TypeVar("T")
CheckCanaries: TypeAlias = Callable[[Collection[CanaryWindow]], Awaitable[None]]

_FLUSH_SECONDS: Final = 1.0
_AT_MOST: Final = 5_000  # of each kind between two writes; more are counted, not stored
_MANY: Final = _AT_MOST // 2  # this many are written early
_STORIES: Final = 2_000  # of answers, and as many of failures; the older ones of the same second are dropped

_log: Final = structlog.get_logger("proxy.recorder")


async def _nothing(_: Collection[CanaryWindow]) -> None:
    """Checks nothing: the default where nobody watches canaries."""


class Recorder:
    """A buffer of evidence, written later; a killed process loses the last second."""

    def __init__(self, store: Store, clock: Callable[[], datetime], seconds: float = _FLUSH_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._many = asyncio.Event()
        self._outcomes: list[Outcome] = []
        self._seen: list[SeenAnswer] = []
        self._visits: list[Visit] = []
        self._stories: deque[RequestTrace] = deque(maxlen=_STORIES)
        self._failures: deque[RequestTrace] = deque(maxlen=_STORIES)
        # The audit has one a day of each kind, so the first one is enough.
        self._accesses: dict[tuple[date, str, str, str], Access] = {}
        self._canaries: dict[CanaryWindow, CanaryCount] = {}
        self._series: dict[SeriesKey, SeriesCounts] = {}
        self._check: CheckCanaries = _nothing
        self._lost = 0

    def when_counted(self, check: CheckCanaries) -> None:
        """Sets what is done once a canary's outcomes are written, beside those of all other processes."""
        self._check = check

    def compared(self, outcome: Outcome) -> None:
        self._take(self._outcomes, outcome)

    def saw(self, seen: SeenAnswer) -> None:
        self._take(self._seen, seen)

    def visited(self, visit: Visit) -> None:
        self._take(self._visits, visit)

    def accessed(self, access: Access) -> None:
        key = access.at.astimezone(UTC).date(), access.owner, access.case, access.route
        if key not in self._accesses and self._is_room(len(self._accesses)):
            self._accesses[key] = access

    def traced(self, story: RequestTrace) -> None:
        (self._failures if story.is_failure else self._stories).append(story)

    def counted(self, window: CanaryWindow, *, bad: bool) -> None:
        """Counts one outcome of a canary."""
        if window in self._canaries or self._is_room(len(self._canaries)):
            seen, so_far = self._canaries.get(window, (0, 0))
            self._canaries[window] = CanaryCount(seen + 1, so_far + bad)

    def answered(self, key: SeriesKey, seconds: float, *, error: bool) -> None:
        """Counts an answer for the series."""
        # Each request comes here: one that is counted already under its key takes the short way.
        if counts := self._series.get(key) or self._counts(key):
            counts.answered(seconds, error=error)

    def compared_at(self, route: str, at: datetime, *, differing: bool) -> None:
        """Counts a comparison for the series.

        Its mode is shadow, in which alone answers are compared, and its side the new one, which is judged by
        it.
        """
        if counts := self._counts(SeriesKey(route, "shadow", "new", minute_of(at))):
            counts.noted(differing=differing)

    async def flush(self) -> None:
        """Writes everything so far durably. Raises StoreError when it is lost."""
        outcomes, self._outcomes = self._outcomes, []
        seen, self._seen = self._seen, []
        visits, self._visits = self._visits, []
        stories = sorted([*self._failures, *self._stories], key=attrgetter("at"))
        self._failures.clear()
        self._stories.clear()
        accesses, self._accesses = [*self._accesses.values()], {}
        canaries, self._canaries = self._canaries, {}
        series, self._series = self._series, {}
        if self._lost:
            _log.warning("evidence_over_the_limit", lost=self._lost)
            self._lost = 0
        if outcomes or seen or visits or stories or accesses or canaries or series:
            await self._store.evidence.add(
                outcomes=outcomes,
                seen=seen,
                visits=visits,
                stories=stories,
                accesses=accesses,
                canaries=canaries,
                series=series,
                at=self._clock(),
            )
        if canaries:
            await self._check(canaries.keys())

    async def write(self) -> None:
        """Writes for ever, each second or once there is much."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._many.wait()
            self._many.clear()
            await self.write_out()

    async def write_out(self) -> None:
        try:
            await self.flush()
        except StoreError:
            _log.exception("evidence_lost")

    def _take(self, taken: list[T], one: T) -> None:
        if self._is_room(len(taken)):
            taken.append(one)

    def _counts(self, key: SeriesKey) -> SeriesCounts | None:
        counts = self._series.get(key)
        if counts is None and self._is_room(len(self._series)):
            counts = self._series[key] = SeriesCounts()
        return counts

    def _is_room(self, taken: int) -> bool:
        """Returns whether there is room for one more; if not, counts it as lost."""
        if taken >= _MANY:
            self._many.set()
        if taken >= _AT_MOST:
            self._lost += 1
        return taken < _AT_MOST


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncIterator[None]:
    """Writes evidence while the block runs, and the rest at its end."""
    try:
        async with beside("evidence", recorder.write()):
            yield
    finally:
        await recorder.write_out()
