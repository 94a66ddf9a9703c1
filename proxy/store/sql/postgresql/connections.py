"""Opens connections to PostgreSQL, and lends the open ones; a lost one is never lent again."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from proxy.postgresql_url import PostgresqlUrl
from proxy.store.errors import StoreError
from proxy.trust import BadAuthorities, trusted

_OLD_SECONDS: Final = 1800.0  # a load balancer or a firewall may drop a connection that is older
_STATEMENTS: Final = 1000
_SESSION: Final[Mapping[str, str]] = {
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": "10s",
    "jit": "off",  # short statements only
    # The server notices within 11 s that a client is cut off: until then it keeps the locks of that one.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}
# The same for the client's end. Otherwise it waits for TCP, which tries again ever more rarely after a cut.
_SOCKET: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 2),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 10_000),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The seconds for which the database is waited for.

    `resolve` is how long a commit may be in doubt: longer than a standby takes to be promoted.
    """

    connect: float = 5.0
    command: float = 30.0
    lend: float = 10.0
    resolve: float = 20.0


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Server:
    """A database, and how its connections are made.

    `tls` is False for connections without TLS, and a context for those that check the server's certificate.
    Behind a `pooler` in transaction mode (PgBouncer), nothing of a connection outlives a transaction.
    """

    url: PostgresqlUrl
    tls: ssl.SSLContext | bool | str = False
    pooler: bool = False
    limits: Limits = LIMITS

    async def connect(self) -> Any:
        """Returns a new connection of the driver. Raises the driver's errors, OSError and TimeoutError."""
        import asyncpg

        driver = await asyncpg.connect(
            host=[server.host for server in self.url.servers],
            port=[server.port for server in self.url.servers],
            user=self.url.user,
            password=self.url.password,
            database=self.url.database,
            target_session_attrs=self.url.target_session_attrs,
            ssl=self.tls,
            timeout=self.limits.connect,
            command_timeout=self.limits.command,
            statement_cache_size=0 if self.pooler else _STATEMENTS,
            server_settings=None if self.pooler else self._session(),
        )
        _notice_silence(driver)
        return driver

    def _session(self) -> dict[str, str]:
        return {**_SESSION, "application_name": self.url.application_name}

    def engine(self) -> AsyncEngine:
        """Returns an engine whose connections begin no transaction by themselves."""
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"prepared_statement_cache_size": 0} if self.pooler else {},
        )


def server_at(
    url: PostgresqlUrl, *, pooler: bool = False, ca_file: Path | None = None, limits: Limits = LIMITS
) -> Server:
    """Returns the database at a URL. Raises StoreError when its certificates can't be used."""
    return Server(url, _tls(url, ca_file), pooler, limits)


def _tls(url: PostgresqlUrl, ca_file: Path | None) -> ssl.SSLContext | bool | str:
    if url.sslmode != "verify-full":
        return "prefer" if url.sslmode == "prefer" else False
    try:
        # Given to the driver as a context: by itself it looks for the user's own root.crt, and for no other.
        context = trusted(url.sslrootcert or ca_file, "MICHIQ_DATABASE_URL: sslrootcert")
        context.set_alpn_protocols([])
        if url.sslcert is not None:
            context.load_cert_chain(url.sslcert, url.sslkey)
    except BadAuthorities as error:
        raise StoreError(str(error)) from None
    except OSError as error:
        reason = error.strerror or "no certificate"
        raise StoreError(f"MICHIQ_DATABASE_URL: sslcert, sslkey: {reason}") from None
    return context


def _notice_silence(driver: Any) -> None:
    """Lets the kernel end a connection whose other end does not answer; not every system can."""
    own = driver._transport.get_extra_info("socket")  # the driver has no public way to it
    if own is None or own.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, name, value in _SOCKET:
        if hasattr(socket, name):
            own.setsockopt(level, getattr(socket, name), value)


@dataclass(slots=True, eq=False)
class Lent:
    """One open connection, for one borrower at a time."""

    conn: AsyncConnection
    driver: Any
    opened_at: float
    generation: int

    def usable(self, now: float, generation: int) -> bool:
        young = now - self.opened_at < _OLD_SECONDS
        return young and generation == self.generation and not self.driver.is_closed()

    async def close(self) -> None:
        """Ends the connection at once; it never waits for a server that is silent."""
        self.driver.terminate()
        with suppress(Exception):
            await self.conn.close()


class Connections:
    """The open connections of a process, at most `most`; who needs one waits at most `lend` seconds."""

    def __init__(
        self, engine: AsyncEngine, most: int, lend: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._lend = lend
        self._idle: list[Lent] = []
        self._room = asyncio.Semaphore(most)
        self._generation = 0
        self._monotonic = monotonic

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Lent]:
        """Lends a connection while the block runs; one that is left within a transaction is closed.

        Raises StoreError when none is free in time, and the driver's errors when none can be opened.
        """
        try:
            async with asyncio.timeout(self._lend):
                await self._room.acquire()
        except TimeoutError:
            raise StoreError("no connection to the database was free (MICHIQ_DATABASE_POOL)") from None
        try:
            lent = await self._take()
            try:
                yield lent
            except asyncio.CancelledError:
                # Its statement may be under way on a network that is cut: nobody else must wait for it.
                lent.driver.terminate()
                raise
            finally:
                if lent.driver.is_closed() or lent.driver.is_in_transaction():
                    await lent.close()
                else:
                    self._idle.append(lent)
        finally:
            self._room.release()

    def lose_all(self) -> None:
        """Lends none of the connections that are open now again: their server is gone."""
        self._generation += 1

    async def close(self) -> None:
        """Closes the connections that are not lent; nothing is lent any more by then."""
        idle, self._idle = self._idle, []
        for lent in idle:
            await lent.close()
        await self._engine.dispose()

    async def _take(self) -> Lent:
        while self._idle:
            lent = self._idle.pop()  # the one used last: the others may grow old and be closed
            if lent.usable(self._monotonic(), self._generation):
                return lent
            await lent.close()
        generation = self._generation
        conn = await self._engine.connect()
        raw = await conn.get_raw_connection()
        return Lent(conn, raw.driver_connection, self._monotonic(), generation)
