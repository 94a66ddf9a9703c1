"""Sums up the ledger by organization, API key and route: who still calls what, and who has stopped."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Row, Select, and_, func, literal, select

from proxy.store.audit.visits import AGENT, ORGANIZATION
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.rows import batches
from proxy.store.sql.tables import clients, ledger

_MOST_AGENTS: Final = 3
_KEY: Final = (*ledger.primary_key.columns,)
_DAY: Final = len("2027-01-31")

_Rows: TypeAlias = Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class CallerKey:
    """The identity of callers: an organization and an API key by their keyed hashes, "" where unknown."""

    organization: str
    key: str


@dataclass(frozen=True, slots=True)
class LastCall:
    """The calls of one organization and key on a route.

    `last` is the day (UTC) of the last one, and `side` the side that answered it, "" when none was chosen.
    `recent` counts the calls since a day, and `users` the users and programs with that key.
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

    async def all(self, routes: Collection[str], since: date, counted_since: date) -> list[LastCall]:
        """Returns a row for each organization, key and route with a call from the day `since` on.

        `recent` counts the calls from the day `counted_since` on.
        """

        def work(conn: Connection) -> tuple[_Rows, _Rows]:
            last = [row for route in routes for row in conn.execute(_last_calls(route, since))]
            return last, conn.execute(_counts(counted_since)).all()

        last, counts = await self.database.read(work)
        return _summed(last, {(row.client, row.route): int(row.calls) for row in counts if row.client})

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


def _last_calls(route: str, since: date) -> Select[Any]:
    """Returns the query for each client's last day on the route with the side behind it; else NULL.

    It reads a client's days from the newest back to the first that fits: few entries of the primary key.
    Grouping all days would read far more.
    """
    table, newest = ledger.c, [column.desc() for column in _KEY[1:]]
    own = table.client == clients.c.id, table.route == route, table.day >= since.isoformat()
    last = select(table.day + table.side).where(*own).order_by(*newest).limit(1).scalar_subquery()
    of = clients.c.id, clients.c.organization_hash, clients.c.key, literal(route).label("route")
    return select(*of, last.label("last"))


def _counts(since: date) -> Select[Any]:
    # An outer join goes from the clients to their days, which SQLite would otherwise all read.
    recent = and_(ledger.c.client == clients.c.id, ledger.c.day >= since.isoformat())
    of, calls = (ledger.c.client, ledger.c.route), func.sum(ledger.c.count).label("calls")
    return select(*of, calls).select_from(clients.outerjoin(ledger, recent)).group_by(*of)


def _summed(rows: _Rows, counts: Mapping[tuple[str, str], int]) -> list[LastCall]:
    """Returns the rows of all users with one key as one, whose side is that of the last call."""
    grouped: defaultdict[tuple[CallerKey, str], list[Row[Any]]] = defaultdict(list)
    for row in (each for each in rows if each.last is not None):
        grouped[CallerKey(row.organization_hash, row.key), row.route].append(row)
    found = []
    for (caller, route), own in grouped.items():
        last = max(row.last for row in own)
        day, side = last[:_DAY], last[_DAY:]
        recent = sum(counts.get((row.id, route), 0) for row in own)
        found.append(LastCall(caller, route, side, date.fromisoformat(day), recent, len(own)))
    return found
