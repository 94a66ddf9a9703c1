"""Sums the ledger's calls of one route by organization, in the database."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Final

from sqlalchemy import Row, Select, case, func, select

from proxy.store.audit.visits import ORGANIZATION
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.rows import rows_of
from proxy.store.sql.tables import clients, ledger

_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Caller:
    """An organization that calls a route: `calls` are its calls since the day that was asked for."""

    organization_hash: str
    organization: str = field(repr=False)
    calls: int
    last_day: date


@dataclass(frozen=True, slots=True)
class RouteCallers:
    """The organizations that call a route; `begin` is the time since when their calls were counted."""

    begin: datetime
    callers: tuple[Caller, ...]


@dataclass(frozen=True, slots=True)
class Callers:
    """The ledger's sums by organization: one row each, however many calls there were."""

    database: Database
    sealer: Sealer

    async def of_route(self, route: str, since: date, counted_since: date) -> RouteCallers:
        """Returns the organizations with a successful call from the day `since` on.

        Their calls are counted from the day `counted_since` on. Anyone may send any organization's name, and
        be refused: such names alone are left out.
        """
        query = _query(route, since.isoformat(), counted_since.isoformat())
        rows = await self.database.read(rows_of(query))
        midnight = datetime.combine(counted_since, time(), UTC)
        begin = max(midnight, min((row.first_seen for row in rows), default=midnight))
        return RouteCallers(begin, await asyncio.to_thread(self._opened, rows))

    def _opened(self, rows: Sequence[Row[Any]]) -> tuple[Caller, ...]:
        return tuple(
            Caller(
                row.organization_hash,
                self.sealer.open_text(row.organization, ORGANIZATION.at(row.one)),
                int(row.calls),
                date.fromisoformat(row.last_day),
            )
            for row in rows
        )


def _query(route: str, since: str, counted_since: str) -> Select[Any]:
    counted = case((ledger.c.day >= counted_since, ledger.c.count), else_=0)
    answered = case((ledger.c.status < _ERROR, ledger.c.count), else_=0)
    sums = (
        select(
            clients.c.organization_hash,
            func.min(clients.c.id).label("one"),
            func.min(clients.c.first_seen).label("first_seen"),
            func.max(ledger.c.day).label("last_day"),
            func.sum(counted).label("calls"),
        )
        .join(ledger, ledger.c.client == clients.c.id)
        .where(ledger.c.route == route, ledger.c.day >= since, clients.c.organization_hash != "")
        .group_by(clients.c.organization_hash)
        .having(func.sum(answered) > 0)
        .subquery()
    )
    return select(sums, clients.c.organization).join(clients, clients.c.id == sums.c.one)
