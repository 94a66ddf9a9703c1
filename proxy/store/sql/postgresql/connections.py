"""Opens connections to PostgreSQL, and lends the open ones; a lost one is never lent again."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from proxy.store.errors import StoreError

_CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 30.0
_LEND_SECONDS: Final = 10.0
_OLD_SECONDS: Final = 1800.0  # a load balancer or a firewall may drop a connection that is older
_STATEMENTS: Final = 1000
_SESSION: Final[Mapping[str, str]] = {
    "application_name": "michiq-proxy",
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "10s",
    "jit": "off",  # short statements only
}


@dataclass(frozen=True, slots=True)
class Server:
    """The address of a database, and how to speak to it.

    `dsn` is a libpq URI. `tls` is None for a connection without TLS. Behind a `pooler` in transaction mode
    (PgBouncer) nothing of a connection lasts longer than a transaction.
    """

    dsn: str
    tls: ssl.SSLContext | None = None
    pooler: bool = False

    async def connect(self) -> Any:
        """Returns a new connection of the driver. Raises the driver's errors, OSError and TimeoutError."""
        import asyncpg

        return await asyncpg.connect(
            self.dsn,
            timeout=_CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            statement_cache_size=0 if self.pooler else _STATEMENTS,
            server_settings=None if self.pooler else {**_SESSION},
            **({} if self.tls is None else {"ssl": self.tls}),
        )

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
    """The open connections of a process, at most `most`."""

    def __init__(
        self, engine: AsyncEngine, most: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._idle: list[Lent] = []
        self._room = asyncio.Semaphore(most)
        self._generation = 0
        self._monotonic = monotonic

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Lent]:
        """Lends a connection while the block runs; one that is left within a transaction is closed.

        Raises StoreError when none is free within 10 s, and the driver's errors when none can be opened.
        """
        try:
            async with asyncio.timeout(_LEND_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise StoreError("no connection to the database was free (MICHIQ_DATABASE_POOL)") from None
        try:
            lent = await self._take()
            try:
                yield lent
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
