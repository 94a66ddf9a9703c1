"""Sums in SQL what `can-switch` asks for: ends of shadow runs by mapping, and the organizations that call."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select, union_all

from proxy.store.sql.database import Database
from proxy.store.sql.tables import clients, comparisons, ledger

# The ends of shadow runs in which both answers were compared.
COMPARED: Final = ("match", "difference")

_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class RouteWindow:
    """A route, the digest of its mapping in force, and the first day whose evidence counts.

    `counted` are the digests whose evidence counts.
    """

    route: str
    mapping: str
    counted: Collection[str]
    since: date


@dataclass(frozen=True, slots=True)
class OutcomeSum:
    """A count of shadow runs within the route's window, over all organizations."""

    route: str
    mapping: str
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class SwitchCounts:
    """The sums of several routes.

    By route, `compared` and `callers` have the keyed hashes of the organizations with a comparison that
    counts, and with a successful call, within the window. Only successful calls count: anyone may send any
    organization's name. `first_days` has the day of the first run under the mapping in force.
    """

    outcomes: Sequence[OutcomeSum]
    compared: Mapping[str, Set[str]]
    callers: Mapping[str, Set[str]]
    first_days: Mapping[str, date]


async def switch_counts(database: Database, windows: Sequence[RouteWindow]) -> SwitchCounts:
    """Returns the sums of these routes, by four queries however many routes there are. Raises StoreError."""

    def work(conn: Connection) -> SwitchCounts:
        return SwitchCounts(
            _outcomes(conn, windows),
            _compared(conn, windows),
            _callers(conn, windows),
            _first_days(conn, windows),
        )

    return await database.read(work)


async def compared_by_organization(database: Database, window: RouteWindow) -> dict[str, tuple[int, int]]:
    """Returns the comparisons that count, and those of them that differ, by keyed hash. Raises StoreError."""
    table = comparisons.c
    differing = func.sum(case((table.outcome == COMPARED[1], table.count), else_=0))
    query = select(table.organization, func.sum(table.count), differing).where(
        table.route == window.route,
        table.day >= window.since.isoformat(),
        table.mapping.in_(window.counted),
        table.outcome.in_(COMPARED),
    )

    def work(conn: Connection) -> dict[str, tuple[int, int]]:
        rows = conn.execute(query.group_by(table.organization))
        return {organization: (int(all_), int(bad)) for organization, all_, bad in rows}

    return await database.read(work)


def _outcomes(conn: Connection, windows: Sequence[RouteWindow]) -> list[OutcomeSum]:
    table = comparisons.c
    key = table.route, table.mapping, table.outcome
    query = select(*key, func.sum(table.count)).where(*_within(table.day, table.route, windows))
    rows = conn.execute(query.group_by(*key))
    return [OutcomeSum(route, mapping, outcome, int(count)) for route, mapping, outcome, count in rows]


def _compared(conn: Connection, windows: Sequence[RouteWindow]) -> dict[str, Set[str]]:
    table = comparisons.c
    counted = or_(*(and_(table.route == each.route, table.mapping.in_(each.counted)) for each in windows))
    within = _within(table.day, table.route, windows)
    query = select(table.route, table.organization).where(*within, table.outcome.in_(COMPARED), counted)
    return _sets(conn, query.distinct())


def _first_days(conn: Connection, windows: Sequence[RouteWindow]) -> dict[str, date]:
    table = comparisons.c
    # One query for each route within the whole: so each is one look into the index.
    first = union_all(
        *(
            select(literal(each.route).label("route"), func.min(table.day).label("first")).where(
                table.route == each.route, table.mapping == each.mapping
            )
            for each in windows
        )
    )
    return {row.route: date.fromisoformat(row.first) for row in conn.execute(first) if row.first}


def _callers(conn: Connection, windows: Sequence[RouteWindow]) -> dict[str, Set[str]]:
    table = ledger.c
    within = _within(table.day, table.route, windows)
    # The clients are joined only after the calls of many days have become one row.
    called = select(table.route, table.client).where(*within, table.status < _ERROR).distinct().subquery()
    query = select(called.c.route, clients.c.organization_hash).distinct()
    return _sets(conn, query.join_from(called, clients, called.c.client == clients.c.id))


def _sets(conn: Connection, query: Select[str, str]) -> dict[str, Set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for route, organization in conn.execute(query):
        found[route].add(organization)
    return {**found}


def _within(
    day: ColumnElement[str], route: ColumnElement[str], windows: Sequence[RouteWindow]
) -> Iterator[ColumnElement[Any]]:
    """Yields the conditions for the windows' rows; the first one alone is what an index over days can use."""
    routes: defaultdict[date, list[str]] = defaultdict(list)
    for each in windows:
        routes[each.since].append(each.route)
    yield day >= min(routes).isoformat()
    yield or_(*(and_(day >= since.isoformat(), route.in_(names)) for since, names in routes.items()))
