"""The connections to the legacy server: one for each request, and only so many at once."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from proxy.errors import UpstreamError
from proxy.upstream.line import Line, NotPrivate

CONNECTIONS: Final = 64
POOL_WAIT_SECONDS: Final = 0.9  # a second, with what it takes to notice
CONNECT_SECONDS: Final = 5.0

Connect: TypeAlias = Callable[[], Awaitable[Line]]


class Pool:
    """At most CONNECTIONS lines. None is used twice: a late second answer would be the next user's."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(CONNECTIONS)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """The right to one connection; not waited for long, since a queue here is a queue of users."""
        try:
            async with asyncio.timeout(POOL_WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise UpstreamError("legacy_unreachable", "legacy-busy", arrived=False) from None
        try:
            yield
        finally:
            self._slots.release()

    async def line(self) -> Line:
        """A fresh line for the holder of a slot."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._connect()
        except ConnectionRefusedError:
            cause = "legacy-refused-connection"
        except ssl.SSLError:
            cause = "legacy-tls"
        except NotPrivate:
            cause = "legacy-not-private"
        except (OSError, UnicodeError):  # the time limit and a name that can't be looked up among them
            cause = "legacy-unreachable"
        # Raised out here, where it does not carry the foreign error along as its context.
        raise UpstreamError("legacy_unreachable", cause, arrived=False)
