"""Runs the retention: sweeps the store at start and hourly, if the clock is plausible (CONTRACT U06)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import structlog

from proxy.concurrency.tasks import beside
from proxy.server.serving import Serving
from proxy.settings import Settings
from proxy.store import Store, StoreError

Doubt: TypeAlias = Literal["clock-jumped", "clock-ahead"]

_SWEEP_SECONDS: Final = 3600.0
_JOB: Final = "retention"
_JOB_SECONDS: Final = 3540.0  # a little shorter: several clocks measure it
_JUMP: Final = timedelta(days=7)
_AHEAD: Final = timedelta(days=30)
_PATIENCE: Final = timedelta(hours=24)

_log: Final = structlog.get_logger("proxy.retention")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A reading of the machine's clock, and of the monotonic clock, which nobody can set."""

    clock: datetime
    monotonic: float

    def since(self, other: "ClockReading") -> timedelta:
        """Returns the time that has really passed."""
        return timedelta(seconds=self.monotonic - other.monotonic)


def doubt_at(now: ClockReading, anchor: ClockReading, swept_at: datetime | None) -> Doubt | None:
    """Returns the reason to doubt the clock: it jumped since `anchor`, or is far past the last sweep."""
    if abs((now.clock - anchor.clock) - now.since(anchor)) > _JUMP:
        return "clock-jumped"
    if swept_at is not None and now.clock - swept_at > _AHEAD:
        return "clock-ahead"
    return None


class Sweeper:
    """A sweeper that waits while the clock is in doubt: for 24 h, or until an operator has swept by hand."""

    def __init__(
        self, store: Store, settings: Settings, serving: Serving, now: Callable[[], ClockReading]
    ) -> None:
        self._store = store
        self._days = settings.content_days, settings.audio_days
        self._serving = serving
        self._now = now
        self._anchor = now()
        self._held_since: ClockReading | None = None

    async def look(self) -> None:
        """Sweeps, unless another process has just done so; or logs the reason why not."""
        now, swept_at = self._now(), await self._store.retention.last_active()
        doubt = doubt_at(now, self._anchor, swept_at)
        if doubt is not None and not self._over(now, swept_at):
            self._hold(now, doubt, swept_at)
            return
        self._anchor, self._held_since, self._serving.held = now, None, None
        if not await self._store.backend.jobs.claim(_JOB, _JOB_SECONDS):
            return
        swept = await self._store.retention.sweep(now.clock, *self._days)
        _log.info("swept", cases=swept.cases, recordings=swept.recordings, unsent=swept.unsent)

    def _hold(self, now: ClockReading, doubt: Doubt, swept_at: datetime | None) -> None:
        self._held_since = self._held_since or now
        self._serving.held = doubt
        last = swept_at.isoformat() if swept_at else None
        hours = round((_PATIENCE - now.since(self._held_since)).total_seconds() / 3600)
        _log.error(
            "retention_held", why=doubt, clock=now.clock.isoformat(), last_sweep=last, hours_left=hours
        )

    def _over(self, now: ClockReading, swept_at: datetime | None) -> bool:
        """Returns whether the doubt is over: a day has passed, or an operator has swept since."""
        held = self._held_since
        if held is None:
            return False
        by_hand = swept_at is not None and held.clock <= swept_at <= now.clock
        return by_hand or now.since(held) >= _PATIENCE


@asynccontextmanager
async def sweeping(
    store: Store,
    settings: Settings,
    serving: Serving,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> AsyncIterator[None]:
    """Removes data past its retention while the block runs."""
    sweeper = Sweeper(store, settings, serving, lambda: ClockReading(clock(), monotonic()))

    async def sweep() -> None:
        while True:
            try:
                await sweeper.look()
            except (StoreError, OSError):
                _log.exception("sweep_failed")
            await asyncio.sleep(_SWEEP_SECONDS)

    async with beside("retention", sweep()):
        yield
