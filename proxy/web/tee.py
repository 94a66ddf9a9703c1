"""Sends authentic webhooks on to the operator's own consumer until it has taken them (CONTRACT W04)."""

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
from proxy.store.deliveries import DELIVERY_LIFE, Claimed, Deliveries, Delivery
from proxy.upstream.poster import Poster, open_poster

Verdict: TypeAlias = Literal["sent", "given-up", "again"]

_AT_ONCE: Final = 4
_SECONDS: Final = 10.0
# Longer than an attempt may take: only who died has not said by then what came of it.
_CLAIM: Final = timedelta(seconds=30)
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_LOOK_SECONDS: Final = 0.5
# At the end of the process; what is cut off is sent again when its claim has run out.
_LAST_SECONDS: Final = 2.0

_log: Final = structlog.get_logger("proxy.tee")


class Tee:
    """Sends what the store holds, a few at once; several processes may do so side by side.

    A consumer may get a delivery twice, when its answer was lost or a process died in between.
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
        """Something may be due now."""
        self._wake.set()

    def end(self) -> None:
        """Nothing more is begun."""
        self._ending = True
        self._wake.set()

    async def keep_sending(self) -> None:
        """One after the other until the end."""
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
        """Waits for one that is due; None at the end."""
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
        told = {"delivery": claimed.id, "attempts": claimed.attempts, "status": status}
        now = self._clock()
        again_at = now + pause(claimed.attempts, self._chance())
        verdict = judge(status)
        if verdict == "sent":
            await self._deliveries.sent(claimed.id)
            _log.info("tee_sent", **told)
        elif verdict == "given-up" or is_too_old(claimed.received_at, again_at):
            await self._deliveries.give_up(claimed.id)
            _log.error("tee_given_up", **told)
        else:
            await self._deliveries.put_off(claimed.id, again_at)
            _log.warning("tee_put_off", **told)
        self.look()  # the next one of the same report may go now

    async def _post(self, delivery: Delivery) -> int | None:
        """The status of one attempt; None where none came in time."""
        signed = {"X-Webhook-Signature": delivery.signature}
        return await self._poster.post(signed, delivery.content_type, delivery.body)


def judge(status: int | None) -> Verdict:
    """What an attempt came to. Who refuses a delivery for what it is will refuse it the next time too."""
    if status is not None and 200 <= status < 300:
        return "sent"
    refused = status is not None and 400 <= status < 500 and status not in (408, 429)
    return "given-up" if refused else "again"


def is_too_old(received_at: datetime, again_at: datetime) -> bool:
    """Whether a delivery is no longer tried when its turn comes again."""
    return again_at - received_at > DELIVERY_LIFE


def pause(attempts: int, chance: float) -> timedelta:
    """How long to wait after so many attempts: twice as long each time, less up to a half by `chance`."""
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
    """Sends deliveries to `url` while the block runs, none to None. `chance` gives numbers from 0 to 1.

    `trust` says whose certificates count; None is the system's authorities. `proxy` leads to the internet.
    """
    if url is None:
        yield None
        return
    async with open_poster(url, _SECONDS, trust, proxy) as poster:
        tee = Tee(poster, deps.store.deliveries, deps.clock, chance)
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
