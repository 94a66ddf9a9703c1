"""The connections to the legacy server: how many there may be, and those that wait for the next request."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from proxy.errors import UpstreamError
from proxy.upstream.line import Line

CONNECTIONS: Final = 64
POOL_WAIT_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 5.0
# Shorter than servers keep an idle connection, so that it is seldom they who close it.
IDLE_SECONDS: Final = 4.0

Connect: TypeAlias = Callable[[], Awaitable[Line]]


@dataclass(frozen=True, slots=True)
class _Resting:
    line: Line
    expiry: asyncio.TimerHandle


class Pool:
    """At most `limit` connections, in use and resting together."""

    def __init__(self, connect: Connect, limit: int = CONNECTIONS) -> None:
        self._connect = connect
        self._limit = limit
        self._slots = asyncio.Semaphore(limit)
        self._busy = 0
        self._resting: list[_Resting] = []  # the newest last

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """The right to one connection; not waited for long, since a queue here is a queue of users."""
        try:
            async with asyncio.timeout(POOL_WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise UpstreamError("legacy_unreachable", "legacy-busy", arrived=False) from None
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._slots.release()

    async def take(self, *, fresh: bool) -> Line:
        """A line for the holder of a slot; a resting one, where there is one and `fresh` is not asked for."""
        while self._resting and not fresh:
            line = self._woken(-1)
            if line.quiet():
                return line
            line.abort()
        while self._resting and self._busy + len(self._resting) > self._limit:
            self._woken(0).abort()
        return await self._connected()

    def rest(self, line: Line) -> None:
        """Takes back a line whose last exchange left nothing over."""
        line.used = True
        expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire, line)
        self._resting.append(_Resting(line, expiry))

    def close(self) -> None:
        while self._resting:
            self._woken(0).abort()

    def _woken(self, index: int) -> Line:
        resting = self._resting.pop(index)
        resting.expiry.cancel()
        return resting.line

    def _expire(self, line: Line) -> None:
        self._woken(next(index for index, each in enumerate(self._resting) if each.line is line)).abort()

    async def _connected(self) -> Line:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._connect()
        except ConnectionRefusedError:
            cause = "legacy-refused-connection"
        except ssl.SSLError:
            cause = "legacy-tls"
        except (OSError, UnicodeError):  # the time limit and a name that can't be looked up among them
            cause = "legacy-unreachable"
        # Raised out here, where it does not carry the foreign error along as its context.
        raise UpstreamError("legacy_unreachable", cause, arrived=False)
