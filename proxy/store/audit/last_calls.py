"""Sums up the ledger by organization, API key and route: who still calls what, and who has stopped."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, case, func, select

from proxy.store.audit.visits import AGENT, ORGANIZATION
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.rows import batches
from proxy.store.sql.tables import clients, ledger

_MOST_AGENTS: Final = 3


@dataclass(frozen=True, slots=True)
class CallerKey:
    """The identity of callers: an organization and an API key by their keyed hashes, "" where unknown."""

    organization: str
    key: str


@dataclass(frozen=True, slots=True)
class LastCall:
    """The calls of one organization and key on a route, as one side answered them.

    `last` is the day (UTC) of the last one, `recent` their number since a day, `users` that of the users
    and programs with that key. `side` is "" when none was chosen, and for rows of earlier releases.
    """

    caller: CallerKey
    route: str
    side: str
    last: date
    recent: int
    users: int


@dataclass(frozen=True, slots=True)
class Named:
    """A caller's legacy name, and the user agents that were seen last."""

    organization: str = field(repr=False)
    agents: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LastCalls:
    """The ledger for an operator who wants to know who must still move."""

    database: Database
    sealer: Sealer

    async def all(self, since: date) -> list[LastCall]:
        """Returns a row for each organization, key, route and side; `recent` counts the calls `since`."""
        recent = func.sum(case((ledger.c.day >= since.isoformat(), ledger.c.count), else_=0))
        per_client = (
            select(
                ledger.c.client,
                ledger.c.route,
                ledger.c.side,
                func.max(ledger.c.day).label("last"),
                recent.label("recent"),
            )
            .group_by(ledger.c.client, ledger.c.route, ledger.c.side)
            .subquery()
        )
        last, calls = func.max(per_client.c.last), func.sum(per_client.c.recent)
        of = clients.c.organization_hash, clients.c.key, per_client.c.route, per_client.c.side
        query = (
            select(*of, last.label("last"), calls.label("recent"), func.count().label("users"))
            .join(clients, per_client.c.client == clients.c.id)
            .group_by(*of)
        )

        def work(conn: Connection) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = conn.execute(query).all()
            return rows

        return [
            LastCall(
                CallerKey(row.organization_hash, row.key),
                row.route,
                row.side,
                date.fromisoformat(row.last),
                int(row.recent),
                row.users,
            )
            for row in await self.database.read(work)
        ]

    async def named(self, callers: Collection[CallerKey]) -> Mapping[CallerKey, Named]:
        """Returns the names of these callers, and at most three user agents of each."""
        wanted = sorted({each.organization for each in callers})

        def work(conn: Connection) -> Sequence[Row[Any]]:
            rows: list[Row[Any]] = []
            newest = func.row_number().over(
                partition_by=(clients.c.organization_hash, clients.c.key), order_by=clients.c.last_seen.desc()
            )
            for batch in batches(wanted):
                numbered = (
                    select(clients, newest.label("number"))
                    .where(clients.c.organization_hash.in_(batch))
                    .subquery()
                )
                rows += conn.execute(select(numbered).where(numbered.c.number <= _MOST_AGENTS))
            return rows

        found: dict[CallerKey, Named] = {}
        for row in await self.database.read(work):
            caller = CallerKey(row.organization_hash, row.key)
            if caller not in callers:
                continue
            name = self.sealer.open_text(row.organization, ORGANIZATION.at(row.id))
            agent = self.sealer.open_text(row.agent, AGENT.at(row.id))
            agents = found[caller].agents if caller in found else ()
            found[caller] = Named(name, (*agents, *([agent] if agent and agent not in agents else [])))
        return found
