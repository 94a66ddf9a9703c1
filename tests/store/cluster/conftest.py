"""Processes that share a database of a real PostgreSQL server: each has its lease and its locks."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from proxy.postgresql_url import parse_postgresql_url
from proxy.store.cluster.lease import Lease, leased
from proxy.store.cluster.notes import Notes, listening
from proxy.store.cluster.tickets import TicketLocks, ticket_locks
from proxy.store.sql.postgresql.connections import Limits, Server, server_at
from proxy.store.sql.postgresql.database import PostgresqlDatabase, open_postgresql
from tests.postgresql import Postgresql
from tests.store.sql.postgresql.conftest import admin, name, relay

__all__ = ["admin", "name", "relay"]

QUICK: Final = 0.05
NEVER: Final = 1e6


@dataclass(frozen=True)
class Member:
    """A process."""

    database: PostgresqlDatabase
    lease: Lease
    locks: TicketLocks
    server: Server


@dataclass(frozen=True)
class Cluster:
    """The database, and what a test does to the rows of its processes."""

    server: Postgresql
    name: str
    driver: Any

    @asynccontextmanager
    async def member(
        self,
        *,
        renew_every: float = QUICK,
        listens: bool = True,
        port: int | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> AsyncIterator[Member]:
        url = parse_postgresql_url(self.server.url(self.name, port=port))
        server = server_at(url, pooler=not listens, limits=Limits(connect=2, command=2))
        more: dict[str, Any] = {} if monotonic is None else {"monotonic": monotonic}
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_postgresql(server.engine(), 4))
            leasing = await stack.enter_async_context(open_postgresql(server.engine(), 1))
            lease = await stack.enter_async_context(leased(leasing, _name, renew_every=renew_every, **more))
            notes = Notes(server)
            locks = await stack.enter_async_context(ticket_locks(database, lease, _name, notes))
            await stack.enter_async_context(listening(notes, server))
            yield Member(database, lease, locks, server)

    async def age(self, member: Member) -> None:
        """Makes a lease past."""
        past = "UPDATE members SET until = clock_timestamp() - interval '1 second' WHERE name = $1"
        await self.driver.execute(past, member.lease.name)

    async def end(self, member: Member) -> None:
        """Ends a lease, as another process does with one that is past."""
        await self.driver.execute("DELETE FROM members WHERE name = $1", member.lease.name)

    async def members(self) -> set[str]:
        return {row[0] for row in await self.driver.fetch("SELECT name FROM members")}

    async def tickets(self) -> int:
        return int(await self.driver.fetchval("SELECT count(*) FROM tickets"))

    async def until_tickets(self, count: int) -> None:
        async def there() -> bool:
            return await self.tickets() == count

        await until(there)


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Asks the database again and again; each question must wait for its answer."""
    async with asyncio.timeout(30):
        while not await happened():
            pass


@pytest.fixture
def cluster(postgresql_server: Postgresql, name: str, admin: Any) -> Cluster:
    return Cluster(postgresql_server, name, admin)


def _name() -> str:
    return secrets.token_hex(16)
