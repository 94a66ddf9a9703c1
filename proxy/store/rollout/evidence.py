"""Stores the evidence for moving a route: counts of comparisons, differences, structure (DESIGN "Modes")."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, select, update

from proxy.store.audit.request_traces import RequestTrace, write_stories
from proxy.store.audit.tallies import (
    Outcome,
    SeenAnswer,
    comparison_rows,
    day_of,
    difference_rows,
    learned_rows,
)
from proxy.store.audit.trail import Access, Audit
from proxy.store.audit.usage import Usage
from proxy.store.audit.visits import Visit, write_visits
from proxy.store.rollout.canary_counts import (
    NO_COUNTS,
    CanaryCount,
    CanaryWindow,
    add_canary_counts,
    canary_count,
)
from proxy.store.rollout.series import NO_SERIES, SeriesCounts, SeriesKey, add_series
from proxy.store.sql.database import Database
from proxy.store.sql.rows import count_up, insert_missing, rows_of
from proxy.store.sql.tables import comparisons, differences, explanations, learned, shadow_budget
from proxy.values import Side

__all__ = ["Evidence", "Outcome", "SeenAnswer"]


@dataclass(frozen=True, slots=True)
class ComparisonCount:
    """A count of a day's shadow runs that ended in this outcome; `organization` is its keyed hash."""

    day: date
    organization: str
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class LeafCount:
    """A count of a side's answers of this status that had a leaf of this type at this path."""

    route: str
    side: Side
    status: int
    content_type: str
    path: str
    type: str
    count: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence: counts of structure. No value of an answer is ever stored."""

    database: Database
    ledger: Usage
    audit: Audit

    async def add(
        self,
        *,
        outcomes: Sequence[Outcome] = (),
        seen: Sequence[SeenAnswer] = (),
        visits: Sequence[Visit] = (),
        stories: Sequence[RequestTrace] = (),
        accesses: Sequence[Access] = (),
        canaries: Mapping[CanaryWindow, CanaryCount] = NO_COUNTS,
        series: Mapping[SeriesKey, SeriesCounts] = NO_SERIES,
        at: datetime,
    ) -> None:
        """Adds a batch in one write: either all of it counts or nothing."""
        called = await self.ledger.prepare(visits)
        ended, differing = comparison_rows(outcomes, at), difference_rows(outcomes, at)
        leaves = learned_rows(seen, at)

        def work(conn: Connection) -> None:
            count_up(conn, comparisons, ended)
            count_up(conn, differences, differing, newest=("sample", "last_seen"))
            count_up(conn, learned, leaves, newest=("last_seen",))
            write_visits(conn, called)
            write_stories(conn, stories)
            add_canary_counts(conn, canaries, at)
            add_series(conn, series)
            self.audit.accessed(conn, accesses)

        await self.database.write(work)

    async def canary(self, window: CanaryWindow, at: datetime) -> CanaryCount:
        """Returns the outcomes that all processes have counted within the window. Raises StoreError."""
        return await self.database.lookup(lambda conn: canary_count(conn, window, at))

    async def comparisons(self, route: str, since: date) -> list[ComparisonCount]:
        """Returns the route's outcomes from that day on, by day, organization and outcome."""
        table = comparisons.c
        key = table.day, table.organization, table.outcome
        query = select(*key, func.sum(table.count).label("times"))
        query = query.where(table.route == route, table.day >= since.isoformat())
        rows = await self._all(query.group_by(*key).order_by(*key))
        return [
            ComparisonCount(date.fromisoformat(row.day), row.organization, row.outcome, int(row.times))
            for row in rows
        ]

    async def learned(self, route: str | None = None) -> list[LeafCount]:
        """Returns the structure of the answers of the route, or of all routes."""
        query = select(learned).order_by(*learned.primary_key.columns)
        return [LeafCount(**row._mapping) for row in await self._all(_of(query, learned.c.route, route))]

    async def take_budget(self, day: str, route: str, cap: int) -> bool:
        """Takes one live write of the day's `cap`, which all processes share.

        Returns False when the cap is used up.
        """
        key = {"day": day, "route": route}
        taken = update(shadow_budget).filter_by(**key).where(shadow_budget.c.used < cap)

        def work(conn: Connection) -> bool:
            insert_missing(conn, shadow_budget, [{**key, "used": 0}])
            return conn.execute(taken.values(used=shadow_budget.c.used + 1)).rowcount == 1

        return await self.database.write(work)

    async def _all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        return await self.database.read(rows_of(query))


def delete_evidence_before(conn: Connection, before: datetime) -> None:
    """Removes the counts that were last seen before `before`."""
    for counted in (differences, learned):
        conn.execute(delete(counted).where(counted.c.last_seen < before))
    for daily in (comparisons, shadow_budget):
        conn.execute(delete(daily).where(daily.c.day < day_of(before)))
    conn.execute(delete(explanations).where(~exists().where(*_explains())))


def _explains() -> Iterator[ColumnElement[bool]]:
    """Yields the conditions under which an explanation is of a difference that is stored."""
    for column in explanations.primary_key.columns:
        yield differences.c[column.name] == column


def _of(query: Select[Any], column: Any, route: str | None) -> Select[Any]:
    return query if route is None else query.where(column == route)
