"""Sends the same events to all clients of the stream: each is made once for the whole process."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import web

from proxy.flows.deps import Deps
from proxy.rollout.live import Live
from proxy.server.serving import Serving
from proxy.store import StoreError
from proxy.web.stream import events

TICK_SECONDS: Final = 2.0
_MOST_STREAMS: Final = 32  # of a process; a listener for operators has many more connections
_MOST_WAITING: Final = 16 * 1024  # bytes that a client has not taken: it is slower than a minute
_MOST_MISSED: Final = 100  # changes

_log: Final = structlog.get_logger("proxy.stream")


class TooManyStreams(Exception):
    """An error: the process has no room for one more stream."""


@dataclass(slots=True, eq=False)
class Subscription:
    """A client of the stream: the hub writes each event to it, so that no task of its own has to wake up.

    `owner` is the session that the stream ends with, if there is one. `waiting` returns the bytes that the
    client has not taken yet, and `cut` ends its connection at once. `write` is None until the answer's head
    is sent.
    """

    owner: str = field(repr=False)
    waiting: Callable[[], int]
    cut: Callable[[], None]
    write: Callable[[bytes], Awaitable[None]] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, event: bytes) -> None:
        """Writes an event; a client that takes too few of them is cut off."""
        if self.write is None or self.ended.is_set():
            return
        if self.waiting() > _MOST_WAITING:
            self.cut()
            self.ended.set()
            return
        try:
            await self.write(event)  # it does not wait: so few bytes fit into the connection's buffer
        except ConnectionError:
            self.ended.set()


class Hub:
    """The streams of a process. While there is none, it does nothing."""

    def __init__(self, live: Live, deps: Deps, serving: Serving) -> None:
        self._live = live
        self._deps = deps
        self._serving = serving
        self._all: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def joined(self, subscription: Subscription) -> Iterator[None]:
        """Serves a client while the block runs; raises TooManyStreams when there is no room."""
        if len(self._all) >= _MOST_STREAMS:
            raise TooManyStreams
        self._all.add(subscription)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="events")
        try:
            yield
        finally:
            self._all.discard(subscription)

    def end(self, owner: str) -> None:
        """Ends the streams of a session."""
        for each in self._all:
            if each.owner == owner:
                each.ended.set()

    def tick(self) -> bytes:
        return events.tick(self._live, self._deps.upstreams.states(), self._deps.effects.clock())

    async def missed(self, since: int) -> bytes:
        """Returns the changes after a revision, at most the newest hundred. Raises StoreError."""
        newest = await self._deps.store.overrides.history(limit=_MOST_MISSED)
        return events.changes(each for each in newest if each.revision > since)

    async def _run(self) -> None:
        sent = self._live.now.overrides.revision
        while self._all and not await self._stopped():
            now = self._live.now.overrides.revision
            made = self.tick()
            if now > sent:
                try:
                    made = await self.missed(sent) + made
                except StoreError:  # the next tick tries again
                    _log.exception("changes_not_sent_yet")
                else:
                    sent = now
            for each in [*self._all]:
                await each.put(made)
        for each in self._all:
            each.ended.set()

    async def _stopped(self) -> bool:
        """Waits for the next tick; returns whether the process began to end meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                await self._serving.stopping.wait()
        return not self._serving.accepting


HUB: Final = web.AppKey("hub", Hub)
