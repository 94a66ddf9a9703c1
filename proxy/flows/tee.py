"""Forwards authentic webhooks to the operator's own consumer until it accepts them (CONTRACT W04)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import structlog

from proxy.flows.deps import Deps
from proxy.outbound_proxy import OutboundProxy
from proxy.store import StoreError
from proxy.store.records.deliveries import DELIVERY_LIFE, Claimed, Deliveries, Delivery
from proxy.upstream.poster import Poster, open_poster

Verdict: TypeAlias = Literal["sent", "given-up", "again"]

_AT_ONCE: Final = 4
_SECONDS: Final = 10.0
# Longer than an attempt may take: only a process that died has not stored its result by then.
_CLAIM: Final = timedelta(seconds=30)
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_LOOK_SECONDS: Final = 0.5
# At the end of the process; a delivery that is cut off is sent again when its claim has expired.
_LAST_SECONDS: Final = 2.0

_log: Final = structlog.get_logger("proxy.tee")


class Tee:
    """A sender of the store's deliveries, a few at once; several processes may send side by side.

    A consumer may get a delivery twice: when its answer was lost, or a process died before it was stored.
    """

    def __init__(
        self,
        poster: Poster,
        deliveries: Deliveries,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self._poster = poster
        self._deliveries = deliveries
        self._clock = clock
        self._chance = chance
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._ending = False

    def look(self) -> None:
        """Wakes the senders: a delivery may be due now."""
        self._wake.set()

    def end(self) -> None:
        """Ends the sending: no new attempt begins."""
        self._ending = True
        self._wake.set()

    async def keep_sending(self) -> None:
        """Sends one delivery after another until the end."""
        while not self._ending:
            try:
                async with self._looking:
                    claimed = await self._next()
                if claimed is not None:
                    await self._send(claimed)
            except StoreError:
                _log.exception("tee_failed")
                await asyncio.sleep(_LOOK_SECONDS)

    async def _next(self) -> Claimed | None:
        """Waits for a due delivery, and claims it; returns None at the end."""
        while not self._ending:
            self._wake.clear()
            now = self._clock()
            if (claimed := await self._deliveries.claim(now, now + _CLAIM)) is not None:
                return claimed
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()
        return None

    async def _send(self, claimed: Claimed) -> None:
        status = await self._post(claimed.delivery)
        facts = {"delivery": claimed.id, "attempts": claimed.attempts, "status": status}
        now = self._clock()
        again_at = now + pause(claimed.attempts, self._chance())
        verdict = verdict_of(status)
        if verdict == "sent":
            await self._deliveries.sent(claimed.id)
            _log.info("tee_sent", **facts)
        elif verdict == "given-up" or is_too_old(claimed.received_at, again_at):
            await self._deliveries.give_up(claimed.id)
            _log.error("tee_given_up", **facts)
        else:
            await self._deliveries.put_off(claimed.id, now, again_at)
            _log.warning("tee_put_off", **facts)
        self.look()  # the report's next delivery may be sent now

    async def _post(self, delivery: Delivery) -> int | None:
        """Makes one attempt, and returns its status; None when no answer came in time."""
        signed = {"X-Webhook-Signature": delivery.signature}
        return await self._poster.post(signed, delivery.content_type, delivery.body)


def verdict_of(status: int | None) -> Verdict:
    """Returns the result of an attempt: most 4xx are final, as the consumer would refuse it again."""
    if status is not None and 200 <= status < 300:
        return "sent"
    refused = status is not None and 400 <= status < 500 and status not in (408, 429)
    return "given-up" if refused else "again"


def is_too_old(received_at: datetime, again_at: datetime) -> bool:
    """Returns whether a delivery is too old for its next attempt."""
    return again_at - received_at > DELIVERY_LIFE


def pause(attempts: int, chance: float) -> timedelta:
    """Returns the pause after so many attempts: it doubles each time; `chance` takes up to a half off."""
    doubled = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(attempts - 1, 30)))
    return doubled * (1 - chance / 2)


@asynccontextmanager
async def teeing(
    url: str | None,
    deps: Deps,
    chance: Callable[[], float],
    trust: ssl.SSLContext | None = None,
    proxy: OutboundProxy | None = None,
) -> AsyncIterator[Tee | None]:
    """Sends deliveries to `url` while the block runs; with None there is no tee.

    `chance` returns numbers from 0 to 1. `trust` decides which certificates are accepted; None means the
    system's authorities. `proxy` is the outbound proxy to the internet.
    """
    if url is None:
        yield None
        return
    async with open_poster(url, _SECONDS, trust, proxy) as poster:
        tee = Tee(poster, deps.store.deliveries, deps.effects.clock, chance)
        tasks = [asyncio.create_task(tee.keep_sending(), name=f"tee-{n}") for n in range(_AT_ONCE)]
        for task in tasks:
            task.add_done_callback(_report_end)
        try:
            yield tee
        finally:
            tee.end()
            _, late = await asyncio.wait(tasks, timeout=_LAST_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)


def _report_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("tee_ended", task=task.get_name(), exc_info=error)
