"""Stores the series: counts of answers and comparisons in steps of time, over all processes (`series`)."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import add
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, delete, func, select, type_coerce

from proxy.store.sql.database import Database
from proxy.store.sql.rows import count_up
from proxy.store.sql.tables import LATENCIES, LATENCY_BOUNDS, series

MINUTE: Final = 60
HOUR: Final = 3600
# The steps that are counted, and for how long their rows are stored.
LIVES: Final[Mapping[int, timedelta]] = {MINUTE: timedelta(hours=48), HOUR: timedelta(days=400)}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTS: Final = ("count", "errors", "compared", "differing")
_ADDED: Final = (*_COUNTS, *LATENCIES)
_BOUNDS: Final = tuple(bound / 1000 for bound in LATENCY_BOUNDS)
_SECOND: Final = 1_000_000  # in microseconds


class SeriesKey(NamedTuple):
    """The key of counts; a client chooses no part of it.

    `mode` is the mode in force for the caller, and `side` the side that answered. Both are "" when the
    request was refused before they were chosen; only a route that is off has its mode. `minute` is in whole
    minutes since 1970 UTC.
    """

    route: str
    mode: str
    side: str
    minute: int


@dataclass(slots=True)
class SeriesCounts:
    """The counts under one key; `latencies` has one for each of LATENCIES.

    `errors` are the answers with a status of 500 or more. `compared` are the shadow runs that ended with two
    answers to compare, and `differing` those of them with a difference.
    """

    count: int = 0
    errors: int = 0
    compared: int = 0
    differing: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * len(LATENCIES))

    def answered(self, seconds: float, *, error: bool) -> None:
        self.count += 1
        self.errors += error
        self.latencies[bisect_left(_BOUNDS, seconds)] += 1

    def noted(self, *, differing: bool) -> None:
        """Counts one comparison."""
        self.compared += 1
        self.differing += differing

    def add(self, other: "SeriesCounts") -> None:
        self.count += other.count
        self.errors += other.errors
        self.compared += other.compared
        self.differing += other.differing
        self.latencies = [*map(add, self.latencies, other.latencies)]


NO_SERIES: Final[Mapping[SeriesKey, SeriesCounts]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time in parts of `width` seconds, which is a multiple of the step that it is read from."""

    since: datetime
    until: datetime
    step: int
    width: int


class Point(NamedTuple):
    """The counts of one part of a span, from `at` on; `route` is "" where several are added up."""

    route: str
    at: datetime
    mode: str
    side: str
    counts: SeriesCounts


@dataclass(frozen=True, slots=True)
class Series:
    """The series, as it is read."""

    database: Database

    async def points(self, routes: Sequence[str], span: Span) -> list[Point]:
        """Returns the points of all these routes together, by time, mode and side, oldest first.

        The primary key serves the query: therefore the routes are always named. Raises StoreError.
        """
        table = series.c
        rows = await self._rows(routes, span, [_part(span), table.mode, table.side])
        return [_point("", part, mode, side, counts) for part, mode, side, *counts in rows]

    async def of_each(self, routes: Sequence[str], span: Span) -> list[Point]:
        """Returns the points of each route, by time and side; all modes are added up, and `mode` is "".

        It is one query for all routes. Raises StoreError.
        """
        table = series.c
        rows = await self._rows(routes, span, [table.route, _part(span), table.side])
        return [_point(route, part, "", side, counts) for route, part, side, *counts in rows]

    async def _rows(
        self, routes: Sequence[str], span: Span, keys: Sequence[ColumnElement[Any]]
    ) -> list[Sequence[Any]]:
        sums = (cast(func.sum(series.c[name]), BigInteger) for name in _ADDED)
        at = series.c.at
        query = select(*keys, *sums).group_by(*keys).order_by(*keys)
        within = query.where(
            series.c.step == span.step, series.c.route.in_(routes), at >= span.since, at < span.until
        )

        def work(conn: Connection) -> list[Sequence[Any]]:
            return [*conn.execute(within)]

        return await self.database.read(work)


def add_series(conn: Connection, counted: Mapping[SeriesKey, SeriesCounts]) -> None:
    """Adds the counts to those of all processes: to the row of their minute and to that of their hour."""
    minutes: list[dict[str, Any]] = []
    hours: dict[SeriesKey, SeriesCounts] = {}
    for key, counts in counted.items():
        minutes.append(_row(MINUTE, key, counts))
        hours.setdefault(key._replace(minute=key.minute // 60 * 60), SeriesCounts()).add(counts)
    rows = [*minutes, *(_row(HOUR, key, counts) for key, counts in hours.items())]
    count_up(conn, series, rows, adding=_ADDED)


def delete_old_series(conn: Connection, now: datetime) -> None:
    """Removes the rows that have lived as long as their step allows."""
    for step, life in LIVES.items():
        conn.execute(delete(series).where(series.c.step == step, series.c.at < now - life))


def minute_of(at: datetime) -> int:
    """Returns the number of whole minutes since 1970 UTC."""
    return int(at.timestamp()) // MINUTE


def _row(step: int, key: SeriesKey, counts: SeriesCounts) -> dict[str, Any]:
    return {
        "step": step,
        "route": key.route,
        "at": _EPOCH + timedelta(minutes=key.minute),
        "mode": key.mode,
        "side": key.side,
        **{name: getattr(counts, name) for name in _COUNTS},
        **dict(zip(LATENCIES, counts.latencies, strict=True)),
    }


def _part(span: Span) -> ColumnElement[int]:
    """Returns the beginning of the part of the span that a row is in, in microseconds since 1970."""
    at = type_coerce(series.c.at, BigInteger)
    return at - at % (span.width * _SECOND)


def _point(route: str, part: int, mode: str, side: str, counts: Sequence[int]) -> Point:
    count, errors, compared, differing, *latencies = counts
    at = _EPOCH + timedelta(microseconds=part)
    return Point(route, at, mode, side, SeriesCounts(count, errors, compared, differing, latencies))
