"""Delivers signed webhook events in background tasks, with retries."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.reports import EventType, signature

TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
DRAIN_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one event: its bytes, the number of attempts, the last status (None: no answer)."""

    event: EventType
    body: bytes = field(repr=False)
    attempts: int
    status: int | None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Webhooks:
    """The webhook of the sandbox's organization: its URL, and the deliveries so far."""

    def __init__(self, config: SandboxConfig) -> None:
        self.url = config.webhook_url
        self.deliveries: list[Delivery] = []
        self._secret = config.webhook_secret
        self._retries = config.webhook_retries
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    async def close(self) -> None:
        """Ends the deliveries: each event gets its first attempt, and a few seconds until it is cancelled."""
        self._closing.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Runs `work` as a task that this webhook owns."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Returns when every delivery under way has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def deliver(self, event: EventType, body: bytes) -> Delivery | None:
        """Sends one event until it is accepted or the retries are used up; returns None without a URL."""
        if self.url is None:
            return None
        delivery = Delivery(event, body, 1, await self._post(self.url, body))
        for pause in self._retries:
            if delivery.accepted or await self._closed_within(pause):
                break
            delivery = Delivery(event, body, delivery.attempts + 1, await self._post(self.url, body))
        self.deliveries.append(delivery)
        if not delivery.accepted:
            _log.warning("webhook given up: %s, last status %s", event, delivery.status)
        return delivery

    async def _closed_within(self, seconds: float) -> bool:
        """Waits before a retry; returns True at once when the webhook closes."""
        try:
            async with asyncio.timeout(seconds):
                return await self._closing.wait()
        except TimeoutError:
            return False

    async def _post(self, url: str, body: bytes) -> int | None:
        if self._session is None:
            raise RuntimeError("the webhooks are not open")
        sent = {"Content-Type": "application/json", "X-Webhook-Signature": signature(self._secret, body)}
        try:
            async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None
