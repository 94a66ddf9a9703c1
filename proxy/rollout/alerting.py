"""Posts signed alerts to a URL of the operator's, for those without Prometheus; it never delays a request."""

import asyncio
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import structlog

from proxy.concurrency.tasks import beside
from proxy.flows.deps import Deps
from proxy.outbound_proxy import OutboundProxy
from proxy.rollout.live import Live
from proxy.store import StoreError
from proxy.times import rfc3339
from proxy.upstream.poster import Poster, open_poster

Kind: TypeAlias = Literal["step-back", "breaker-open", "disk-low", "disk-full", "mappings-rejected"]

_LOOK_SECONDS: Final = 1.0
_SPACE_LOOKS: Final = 30  # the disk is measured once in so many looks
_SECONDS: Final = 10.0
_PAUSES: Final = (2.0, 10.0, 60.0, 300.0)  # between the attempts
_AT_ONCE: Final = 20
# For so long, nobody sends the same alert again.
_QUIET: Final[Mapping[Kind, timedelta]] = {
    "step-back": timedelta(minutes=1),
    "breaker-open": timedelta(minutes=10),
    "disk-low": timedelta(hours=6),
    "disk-full": timedelta(hours=1),
    "mappings-rejected": timedelta(hours=1),
}

_log: Final = structlog.get_logger("proxy.alerts")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert: `subject` is a route, an upstream, or a digest; `text` a sentence for people."""

    kind: Kind
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The state that alerts are about; `step_backs` and `full` count since the start of the process."""

    breakers: Mapping[str, str] = field(default_factory=dict)
    step_backs: Mapping[str, int] = field(default_factory=dict)
    rejected: Sequence[str] = ()
    low: bool = False
    full: int = 0


def alerts_between(before: Seen, now: Seen) -> list[Alert]:
    """Returns what an operator has to learn of a change."""
    found = [
        Alert("step-back", route, f"{route} went back to the old server by itself.")
        for route, count in now.step_backs.items()
        if count > before.step_backs.get(route, 0)
    ]
    found += [
        Alert("breaker-open", name, f"Five calls to {name} in a row failed: its circuit breaker is open.")
        for name, state in now.breakers.items()
        if state != "closed" and before.breakers.get(name, "closed") == "closed"
    ]
    if now.low and not before.low:
        found.append(Alert("disk-low", "store", "Less than a tenth of the store's disk is free."))
    if now.full > before.full:
        found.append(Alert("disk-full", "store", "The store's disk is full: requests fail."))
    if now.rejected and now.rejected != before.rejected:
        digest = sha256("\n".join(now.rejected).encode()).hexdigest()[:12]
        text = f"Changed mapping files are not in force: {len(now.rejected)} faults."
        found.append(Alert("mappings-rejected", digest, text))
    return found


def body_of(alert: Alert, at: datetime, revision: int) -> bytes:
    about = {"alert": alert.kind, "subject": alert.subject, "text": alert.text}
    return json.dumps({**about, "at": rfc3339(at), "revision": revision}).encode()


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    """Returns the hexadecimal HMAC-SHA-256 of the timestamp, a full stop and the body."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


class Alerts:
    """A watch of this process's state; it sends what nobody else has sent."""

    def __init__(self, deps: Deps, live: Live, poster: Poster, secret: str) -> None:
        self._deps, self._live, self._poster, self._secret = deps, live, poster, secret
        self._seen = Seen()
        self._looks = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def watch(self) -> None:
        """Looks for ever; what is being sent at the end is given up."""
        try:
            while True:
                for alert in await self.look():
                    self._start(alert)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in self._sending:
                task.cancel()

    async def look(self) -> list[Alert]:
        """Returns what has changed since the last look."""
        metrics = self._deps.metrics
        before, self._seen = (
            self._seen,
            Seen(
                breakers={**self._deps.upstreams.states()},
                step_backs={name: metrics.step_backs(name) for name in self._live.now.table.routes},
                rejected=tuple(self._live.rejected),
                low=await self._is_low(),
                full=metrics.store_failures("store-full"),
            ),
        )
        return alerts_between(before, self._seen)

    async def _is_low(self) -> bool:
        self._looks += 1
        if self._looks % _SPACE_LOOKS != 1:
            return self._seen.low
        try:
            space = await self._deps.store.space()
        except StoreError:
            return self._seen.low
        return space is not None and space.low

    def _start(self, alert: Alert) -> None:
        if len(self._sending) >= _AT_ONCE:
            _log.error("alert_dropped", kind=alert.kind)
            return
        task = asyncio.create_task(self._send(alert), name="alert")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, alert: Alert) -> None:
        at = self._deps.effects.clock()
        try:
            key = f"{alert.kind}:{alert.subject}"
            if not await self._deps.store.alerts.claim(key, at, _QUIET[alert.kind]):
                _log.info("alert_sent_by_another", kind=alert.kind)
                return
        except StoreError:
            pass  # better twice than never: the disk may be full
        body = body_of(alert, at, self._live.now.overrides.revision)
        for pause in (*_PAUSES, None):
            if await self._post(body):
                _log.info("alert_sent", kind=alert.kind)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        _log.error("alert_not_sent", kind=alert.kind)

    async def _post(self, body: bytes) -> bool:
        timestamp = str(int(self._deps.effects.clock().timestamp()))
        signature = signature_of(self._secret, timestamp, body)
        headers = {"X-Michiq-Timestamp": timestamp, "X-Michiq-Signature": signature}
        status = await self._poster.post(headers, "application/json", body)
        return status is not None and 200 <= status < 300


@asynccontextmanager
async def alerting(
    url: str | None,
    secret: str | None,
    deps: Deps,
    live: Live,
    trust: ssl.SSLContext,
    proxy: OutboundProxy | None,
) -> AsyncIterator[None]:
    """Sends alerts to `url` while the block runs; with None it sends none.

    `trust` decides which certificates are accepted; `proxy` is the outbound proxy to the internet.
    """
    if url is None or secret is None:
        yield
        return
    async with (
        open_poster(url, _SECONDS, trust, proxy) as poster,
        beside("alerts", Alerts(deps, live, poster, secret).watch()),
    ):
        yield
