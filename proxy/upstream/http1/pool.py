"""A connection pool of one upstream: a limited number, reused per caller, and spares opened ahead."""

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
POOL_WAIT_SECONDS: Final = 0.9  # with the time until a timeout is noticed, at most one second
IDLE_SECONDS: Final = 4.0
_SPARE_CONNECT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5

_TIMEOUT: Final = re.compile(rb"(?:^|[,; \t])timeout[ \t]*=[ \t]*\"?([0-9]{1,6})", re.IGNORECASE)


class Pool:
    """A pool of at most CONNECTIONS connections: used, idle and spare ones together.

    A connection that carried a call is used again for the same caller only, so that a late second answer
    can't reach another user. `spares` is the number of new connections that are opened ahead: at most twice
    as many as were needed lately, and none without traffic.
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
        """Returns a connection, to be given back to `release`. Raises NoRoom and NotConnected.

        A call that must not be sent twice gets a connection that the upstream has certainly not closed.
        With `fresh`, the connection has never been idle. `seconds` is the time to open a new one.
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
        """Takes a connection back: it stays open for its caller if the last answer was complete."""
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
        """Closes all connections that are idle or being opened; a used one closes at the end of its call."""
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
        """Sets how long a connection may be idle: half of the upstream's own Keep-Alive timeout."""
        for name, value in headers:
            if len(name) == 10 and name.lower() == b"keep-alive" and (match := _TIMEOUT.search(value)):
                self._idle_seconds = min(IDLE_SECONDS, int(match[1]) / 2)
        connection.idle_seconds = self._idle_seconds

    async def _room(self) -> None:
        """Waits until another call ends, at most POOL_WAIT_SECONDS: each waiting call is a waiting user.

        Raises NoRoom when that time is over.
        """
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
        """Gives this call's room to the call that has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._in_use -= 1

    def _make_room(self) -> None:
        """Closes idle connections until one more connection is allowed."""
        while len(self._idle) and self._in_use + len(self._idle) + len(self._opening) > self._most:
            self._idle.end_oldest()

    def _refill(self) -> None:
        """Opens the spare connections that may be needed soon.

        They replace old spares. At the limit of all connections, the least recently used one is closed.
        """
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
            self._needed.clear()  # the next call meets the error and reports it
            return
        connection.was_idle = True
        self._idle.put(connection)

    def _look_later(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Closes connections that were idle for too long; replaces spare ones while they are needed."""
        self._timer = None
        now = self._loop.time()
        self._idle.end_old(now)
        while self._needed and now - self._needed[0] > IDLE_SECONDS:
            self._needed.popleft()
        if self._needed:
            self._refill()
        elif len(self._idle):
            self._look_later()
