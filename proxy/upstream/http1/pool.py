"""The connections to one upstream: so many at once, kept for their caller, and spare ones opened ahead."""

import asyncio
import re
from collections import deque
from typing import Final

from proxy.upstream.http1.connection import READ_SIZE, Connection
from proxy.upstream.http1.dial import Dialer
from proxy.upstream.http1.errors import NoRoom, NotConnected
from proxy.upstream.http1.idle import Idle

CONNECTIONS: Final = 64
SPARES: Final = 8
POOL_WAIT_SECONDS: Final = 0.9  # a second, with what it takes to notice
IDLE_SECONDS: Final = 4.0
_SPARE_CONNECT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5

_TIMEOUT: Final = re.compile(rb"(?:^|[,; \t])timeout[ \t]*=[ \t]*\"?([0-9]{1,6})", re.IGNORECASE)


class Pool:
    """At most CONNECTIONS connections, those in use, kept and spare ones together.

    One that carried a call is used again for the same caller only. A late second answer can then reach
    nobody else. `spares` is how many fresh ones are opened ahead, at the most twice as many as were needed
    lately, and none without traffic.
    """

    def __init__(self, name: str, dialer: Dialer, *, spares: int = 0) -> None:
        self._name = name
        self._dialer = dialer
        self._spares = spares
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._idle = Idle()
        self._idle_seconds = IDLE_SECONDS
        self._most = CONNECTIONS
        self._in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._needed: deque[float] = deque(maxlen=SPARES)
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(
        self, caller: bytes | None, seconds: float, *, repeatable: bool, fresh: bool = False
    ) -> Connection:
        """Returns a connection, for `release` to take back. Raises NoRoom and NotConnected.

        A call that may not be sent twice gets one of which it is sure that the upstream still listens.
        With `fresh` it has never been idle. `seconds` are for opening one.
        """
        if self._in_use < self._most:
            self._in_use += 1
        else:
            await self._room()
        connection = None if fresh else self._ready(caller, repeatable=repeatable)
        if connection is None:
            connection = await self._opened(seconds)
        connection.caller = caller
        return connection

    def release(self, connection: Connection) -> None:
        """Takes a connection back: it is kept for its caller where the last answer ended exactly."""
        reader = connection.reader
        if connection.rest() and connection.caller is not None and not self._closed and reader is not None:
            self._note(connection, reader.headers)
            connection.since = self._loop.time()
            connection.was_idle = True
            self._idle.put(connection)
            self._look_later()
        else:
            connection.abort()
        self._leave()

    async def close(self) -> None:
        """Ends what is idle or being opened; what is in use ends with its call."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        self._idle.end_all()
        await asyncio.sleep(0)  # a socket that was aborted is closed in the loop's next turn

    async def _opened(self, seconds: float) -> Connection:
        connection = None
        self._make_room()
        try:
            connection = await self._dialer.open(self._made, seconds)
        finally:
            if connection is None:
                self._leave()
        return connection

    def _ready(self, caller: bytes | None, *, repeatable: bool) -> Connection | None:
        now = self._loop.time()
        if caller is not None:
            connection = self._idle.take(caller, now, repeatable=repeatable)
            if connection is not None:
                return connection
        if not self._spares:
            return None
        self._needed.append(now)
        connection = self._idle.take(None, now, repeatable=repeatable)
        self._refill()
        return connection

    def _made(self) -> Connection:
        connection = Connection(self._loop, self._buffer, self._idle.drop)
        connection.idle_seconds = self._idle_seconds
        return connection

    def _note(self, connection: Connection, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """Says how long a connection may be idle: half of what the upstream says that it waits."""
        for name, value in headers:
            if len(name) == 10 and name.lower() == b"keep-alive" and (match := _TIMEOUT.search(value)):
                self._idle_seconds = min(IDLE_SECONDS, int(match[1]) / 2)
        connection.idle_seconds = self._idle_seconds

    async def _room(self) -> None:
        """Waits for the place of a call that ends, and not for long: a queue here is a queue of users."""
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(POOL_WAIT_SECONDS):
                await turn
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise
        if not turn.done() or turn.cancelled():
            raise NoRoom

    def _leave(self) -> None:
        """Hands the place on to whoever has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._in_use -= 1

    def _make_room(self) -> None:
        """What is idle leaves before there are too many in all."""
        while len(self._idle) and self._in_use + len(self._idle) + len(self._opening) > self._most:
            self._idle.end_oldest()

    def _refill(self) -> None:
        """Opens as many spare connections as may be needed soon, in the place of those that have aged, and of
        the one that was used least recently where there are too many in all."""
        wanted = min(self._spares, 2 * len(self._needed))
        now = self._loop.time()
        while not self._closed and self._idle.young_spares(now) + len(self._opening) < wanted:
            if self._idle.spares and self._idle.spares + len(self._opening) >= self._spares:
                self._idle.end_oldest_spare()
            elif self._in_use + len(self._idle) + len(self._opening) >= self._most:
                if not len(self._idle):
                    break
                self._idle.end_oldest()
            task = self._loop.create_task(self._open_spare(), name=f"{self._name}-spare-connection")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._look_later()

    async def _open_spare(self) -> None:
        try:
            connection = await self._dialer.open(self._made, _SPARE_CONNECT_SECONDS)
        except NotConnected:
            self._needed.clear()  # the next call finds out what it is
            return
        connection.was_idle = True
        self._idle.put(connection)

    def _look_later(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Ends what has been idle for too long; replaces spare connections while they are needed."""
        self._timer = None
        now = self._loop.time()
        self._idle.end_old(now)
        while self._needed and now - self._needed[0] > IDLE_SECONDS:
            self._needed.popleft()
        if self._needed:
            self._refill()
        elif len(self._idle):
            self._look_later()
