"""Reads the differences grouped over organizations, and how often both sides were compared."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    func,
    or_,
    select,
    tuple_,
)

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

    `count` are the comparisons with it. `organizations` are keyed hashes. `sample` has lengths and hashes of
    the last one. `mapping` is "" for evidence of earlier releases.
    """

    route: str
    path: str
    kind: str
    control_type: str
    candidate_type: str
    mapping: str
    count: int
    organizations: tuple[str, ...]
    sample: Json = field(repr=False)
    first_seen: datetime
    last_seen: datetime
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class MappingSum:
    """A count of shadow runs under one mapping, and the day of the first of them."""

    route: str
    mapping: str
    outcome: str
    count: int
    first_day: date


@dataclass(frozen=True, slots=True)
class Wanted:
    """The differences to read: of these routes, under `mappings` by their digests; None stands for all.

    `after` is the position of the last group of the page before; `since` leaves out those that were last seen
    earlier.
    """

    routes: Collection[str]
    limit: int
    mappings: Collection[str] | None = None
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


async def outcome_sums(
    database: Database, routes: Collection[str], outcomes: Collection[str]
) -> list[MappingSum]:
    """Returns the shadow runs that ended in these outcomes, under each mapping. Raises StoreError."""
    table = comparisons.c
    key = table.route, table.mapping, table.outcome
    query = select(*key, func.sum(table.count), func.min(table.day)).group_by(*key)
    query = query.where(table.route.in_(routes), table.outcome.in_(outcomes))

    def work(conn: Connection) -> list[MappingSum]:
        return [
            MappingSum(route, mapping, outcome, int(count), date.fromisoformat(day))
            for route, mapping, outcome, count, day in conn.execute(query)
        ]

    return await database.read(work)


def _query(wanted: Wanted) -> Select[Any]:
    each, told = _ranked(wanted), explanations.c
    key = [each.c[name] for name in _KEY]
    own = differences.alias()
    # A window would repeat the text for each row of a group, which takes most of the time.
    organizations = select(func.aggregate_strings(own.c.organization, ",")).where(
        own.c.organization != "", *(own.c[name] == each.c[name] for name in _KEY)
    )
    query = (
        select(each, organizations.scalar_subquery().label("organizations"), told.reason, told.actor, told.at)
        .join_from(
            each, explanations, and_(*(told[name] == each.c[name] for name in _EXPLAINED)), isouter=True
        )
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
    query = select(
        *group,
        func.sum(table.count).over(partition_by=group).label("times"),
        func.min(table.first_seen).over(partition_by=group).label("first_seen"),
        table.last_seen,
        table.sample,
        rank.label("rank"),
    )
    query = query.where(table.route.in_(wanted.routes))
    if wanted.mappings is not None:
        query = query.where(table.mapping.in_(wanted.mappings))
    return query.subquery()


def _group(row: Row[Any]) -> DifferenceGroup:
    return DifferenceGroup(
        **{name: getattr(row, name) for name in _KEY},
        count=int(row.times),
        organizations=tuple(sorted(row.organizations.split(","))) if row.organizations else (),
        sample=row.sample,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        explanation=None if row.reason is None else Explanation(row.reason, row.actor, row.at),
    )
