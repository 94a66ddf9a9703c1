"""Reads the ledger: each client's calls, counted by day, route, mode, status and side."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select

from proxy.store.audit.tallies import day_of
from proxy.store.audit.visits import AGENT, ORGANIZATION, LedgerRows, Visit, anonymous, by_client, ledger_rows
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.rows import batches, delete_unused, rows_of
from proxy.store.sql.tables import clients, ledger

__all__ = ["Calls", "Client", "Usage", "Visit"]

# A client is identified by values that any caller chooses: without a bound, one caller could fill the disk.
_MOST_CLIENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Client:
    """A client: an API key and a user by their hashes, an organization by its legacy name, a user agent."""

    key: str
    user: str
    organization: str = field(repr=False)
    organization_hash: str
    agent: str = field(repr=False)
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Calls:
    """A count of a client's calls with this status, on one day of UTC.

    `side` is the side that answered, "" when none was chosen, and in the rows of earlier releases.
    """

    client: Client
    day: date
    route: str
    mode: str
    status: int
    count: int
    side: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """The ledger; `Evidence.add` writes it."""

    database: Database
    sealer: Sealer
    most_clients: int = _MOST_CLIENTS

    async def calls(self, since: date | None = None, route: str | None = None) -> list[Calls]:
        """Returns all calls from that day on, of one route or of all, oldest first."""
        table = ledger.c
        of = table.client, table.day, table.route, table.mode, table.status, table.side
        query = select(clients, *of, table.count.label("times")).join(ledger, table.client == clients.c.id)
        if since is not None:
            query = query.where(table.day >= since.isoformat())
        if route is not None:
            query = query.where(table.route == route)
        query = query.order_by(table.day, table.route, table.client, table.mode, table.status, table.side)
        return await asyncio.to_thread(self._opened, await self.database.read(rows_of(query)))

    async def organizations(self) -> set[str]:
        """Returns the legacy names of all organizations that ever called; few, since clients are bounded."""
        one_of_each = select(func.min(clients.c.id)).group_by(clients.c.organization_hash)
        query = select(clients).where(clients.c.id.in_(one_of_each))
        return {self._organization(row) for row in await self.database.read(rows_of(query))} - {""}

    async def names_of(self, hashes: Collection[str]) -> dict[str, str]:
        """Returns the legacy names of the organizations that called, by their keyed hashes; "" has none."""
        found: dict[str, str] = {}
        for batch in batches(sorted({*hashes} - {""})):
            of_these = clients.c.organization_hash.in_(batch)
            one_of_each = select(func.min(clients.c.id)).where(of_these).group_by(clients.c.organization_hash)
            query = select(clients).where(clients.c.id.in_(one_of_each))
            for row in await self.database.read(rows_of(query)):
                found[row.organization_hash] = self._organization(row)
        return found

    async def prepare(self, visits: Sequence[Visit]) -> LedgerRows:
        """Returns the rows for `write_visits`. Clients beyond the limit are counted as one without a name."""
        if not visits:
            return LedgerRows([], [], [])
        grouped = by_client(visits, self.sealer)
        stored, room = await self._stored(grouped.keys())
        too_many = [client for client in grouped if client not in stored][room:]
        if too_many:
            named = [each for client in grouped.keys() - too_many for each in grouped[client]]
            others = [anonymous(each) for client in too_many for each in grouped[client]]
            grouped = by_client([*named, *others], self.sealer)
        return ledger_rows(grouped, grouped.keys() - stored, self.sealer)

    async def _stored(self, ids: Collection[str]) -> tuple[set[str], int]:
        """Returns those of the clients that have a row, and how many more clients there may be."""

        def work(conn: Connection) -> tuple[set[str], int]:
            stored: set[str] = set()
            for batch in batches(list(ids)):
                query = select(clients.c.id).where(clients.c.id.in_(batch))
                stored.update(conn.execute(query).scalars())
            count = conn.execute(select(func.count()).select_from(clients)).scalar_one()
            return stored, max(0, self.most_clients - count)

        return await self.database.read(work)

    def _opened(self, rows: Sequence[Row[Any]]) -> list[Calls]:
        who = {row.id: self._client(row) for row in {row.id: row for row in rows}.values()}
        return [
            Calls(
                who[row.id],
                date.fromisoformat(row.day),
                row.route,
                row.mode,
                row.status,
                row.times,
                row.side,
            )
            for row in rows
        ]

    def _client(self, row: Row[Any]) -> Client:
        return Client(
            row.key,
            row.user,
            self._organization(row),
            row.organization_hash,
            self.sealer.open_text(row.agent, AGENT.at(row.id)),
            row.first_seen,
            row.last_seen,
        )

    def _organization(self, row: Row[Any]) -> str:
        return self.sealer.open_text(row.organization, ORGANIZATION.at(row.id))


def delete_calls_before(conn: Connection, before: datetime) -> None:
    """Removes the counts of days before `before`, and the clients that have not called since."""
    conn.execute(delete(ledger).where(ledger.c.day < day_of(before)))
    delete_unused(conn, clients.c.id, clients.c.id.not_in(select(ledger.c.client)))
