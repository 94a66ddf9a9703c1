"""Reads the differences grouped over organizations, with how often both sides were compared meanwhile."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    case,
    func,
    or_,
    select,
    tuple_,
)

from proxy.store.rollout.switch_counts import COMPARED
from proxy.store.sql.database import Database
from proxy.store.sql.tables import comparisons, differences, explanations
from proxy.values import Json

_KEY: Final = ("route", "path", "kind", "control_type", "candidate_type", "mapping")
_EXPLAINED: Final = _KEY[:-1]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reason that an operator gave for a difference."""

    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DifferenceGroup:
    """A difference under one mapping, over all organizations.

    `count` are the comparisons with it, `comparisons` all of the route under the same mapping, and `since` is
    the day of the first of these. `organizations` are keyed hashes. `sample` has lengths and hashes of the
    last one. `mapping` is "" for evidence of earlier releases.
    """

    route: str
    path: str
    kind: str
    control_type: str
    candidate_type: str
    mapping: str
    count: int
    comparisons: int
    since: date | None
    organizations: tuple[str, ...]
    sample: Json = field(repr=False)
    first_seen: datetime
    last_seen: datetime
    explanation: Explanation | None


# The routes, each with the digests of the mappings that count; None stands for all.
Mappings: TypeAlias = Mapping[str, Collection[str] | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The differences to read.

    `after` is the position of the last group of the page before; `since` leaves out those that were last seen
    earlier.
    """

    routes: Mappings
    limit: int
    after: Sequence[Any] | None = None
    since: datetime | None = None


def position(group: DifferenceGroup) -> list[Any]:
    """Returns the position of a group in the order of all, for `Wanted.after`."""
    return [group.count, *(getattr(group, name) for name in _KEY)]


async def grouped_differences(database: Database, wanted: Wanted) -> list[DifferenceGroup]:
    """Returns the groups, the most frequent first, by one query. Raises StoreError."""
    query = _query(wanted)

    def work(conn: Connection) -> list[DifferenceGroup]:
        return [_group(row) for row in conn.execute(query)]

    return await database.read(work)


async def outcome_counts(
    database: Database, routes: Mappings, outcomes: Collection[str]
) -> dict[tuple[str, str], int]:
    """Returns the count of shadow runs that ended in these outcomes, by route and outcome.

    Raises StoreError.
    """
    table = comparisons.c
    query = select(table.route, table.outcome, func.sum(table.count)).where(
        _of(table.route, table.mapping, routes), table.outcome.in_(outcomes)
    )

    def work(conn: Connection) -> dict[tuple[str, str], int]:
        rows = conn.execute(query.group_by(table.route, table.outcome))
        return {(route, outcome): int(count) for route, outcome, count in rows}

    return await database.read(work)


def _query(wanted: Wanted) -> Select[Any]:
    each, compared, told = _ranked(wanted), _compared(), explanations.c
    key = [each.c[name] for name in _KEY]
    query = (
        select(each, compared.c.comparisons, compared.c.since, told.reason, told.actor, told.at)
        .join_from(
            each,
            compared,
            and_(compared.c.route == each.c.route, compared.c.mapping == each.c.mapping),
            isouter=True,
        )
        .join(explanations, and_(*(told[name] == each.c[name] for name in _EXPLAINED)), isouter=True)
        .where(each.c.rank == 1)
        .order_by(each.c.times.desc(), *key)
        .limit(wanted.limit)
    )
    if wanted.since is not None:
        query = query.where(each.c.last_seen >= wanted.since)
    if wanted.after is not None:
        count, *rest = wanted.after
        query = query.where(or_(each.c.times < count, and_(each.c.times == count, tuple_(*key) > rest)))
    return query


def _ranked(wanted: Wanted) -> Subquery:
    """Returns each row with the sums of its group; the one that was seen last has the rank 1."""
    table = differences.c
    group = [table[name] for name in _KEY]
    rank = func.row_number().over(partition_by=group, order_by=[table.last_seen.desc(), table.organization])
    known = case((table.organization != "", table.organization))
    query = select(
        *group,
        func.sum(table.count).over(partition_by=group).label("times"),
        func.min(table.first_seen).over(partition_by=group).label("first_seen"),
        table.last_seen,
        table.sample,
        func.aggregate_strings(known, ",").over(partition_by=group).label("organizations"),
        rank.label("rank"),
    )
    return query.where(_of(table.route, table.mapping, wanted.routes)).subquery()


def _of(route: Column[str], mapping: Column[str], routes: Mappings) -> ColumnElement[bool]:
    return or_(
        *(
            route == name if digests is None else and_(route == name, mapping.in_(digests))
            for name, digests in routes.items()
        )
    )


def _compared() -> Subquery:
    table = comparisons.c
    sums = func.sum(table.count).label("comparisons"), func.min(table.day).label("since")
    query = select(table.route, table.mapping, *sums).where(table.outcome.in_(COMPARED))
    return query.group_by(table.route, table.mapping).subquery()


def _group(row: Row[Any]) -> DifferenceGroup:
    return DifferenceGroup(
        **{name: getattr(row, name) for name in _KEY},
        count=int(row.times),
        comparisons=int(row.comparisons or 0),
        since=date.fromisoformat(row.since) if row.since else None,
        organizations=tuple(sorted(row.organizations.split(","))) if row.organizations else (),
        sample=row.sample,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        explanation=None if row.reason is None else Explanation(row.reason, row.actor, row.at),
    )
