"""Evidence on its way to the store: collected in memory, written once a second, never in a client's time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

import structlog

from proxy.store import Store, StoreError
from proxy.store.accesses import Access
from proxy.store.evidence import Outcome, Seen
from proxy.store.ledger import Visit
from proxy.store.stories import Story
from proxy.tasks import beside

T = TypeVar("T")

_FLUSH_SECONDS: Final = 1.0
_AT_MOST: Final = 5_000  # of each kind between two writes; what comes beyond is counted, not kept

_log: Final = structlog.get_logger("proxy.recorder")


class Recorder:
    """Takes evidence at once and writes it later; a process that is killed loses the last second of it."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._outcomes: list[Outcome] = []
        self._seen: list[Seen] = []
        self._visits: list[Visit] = []
        self._stories: list[Story] = []
        self._accesses: list[Access] = []
        self._lost = 0

    def compared(self, outcome: Outcome) -> None:
        self._take(self._outcomes, outcome)

    def saw(self, seen: Seen) -> None:
        self._take(self._seen, seen)

    def visited(self, visit: Visit) -> None:
        self._take(self._visits, visit)

    def accessed(self, access: Access) -> None:
        self._take(self._accesses, access)

    def told(self, story: Story) -> None:
        self._take(self._stories, story)

    async def flush(self) -> None:
        """Everything so far is durable on return; StoreError where it is lost."""
        outcomes, self._outcomes = self._outcomes, []
        seen, self._seen = self._seen, []
        visits, self._visits = self._visits, []
        stories, self._stories = self._stories, []
        accesses, self._accesses = self._accesses, []
        if self._lost:
            _log.warning("evidence_over_the_limit", lost=self._lost)
            self._lost = 0
        if outcomes or seen or visits or stories or accesses:
            await self._store.evidence.add(
                outcomes=outcomes,
                seen=seen,
                visits=visits,
                stories=stories,
                accesses=accesses,
                at=self._clock(),
            )

    async def write(self) -> None:
        """Flushes for ever."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.write_out()

    async def write_out(self) -> None:
        try:
            await self.flush()
        except StoreError:
            _log.exception("evidence_lost")

    def _take(self, kept: list[T], one: T) -> None:
        if len(kept) < _AT_MOST:
            kept.append(one)
        else:
            self._lost += 1


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncIterator[None]:
    """Writes while the block runs, and what is left at its end."""
    try:
        async with beside("evidence", recorder.write()):
            yield
    finally:
        await recorder.write_out()
