"""Counts the outcomes of canaries over all processes, in steps of time (`canary_counts`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, delete, func, select

from proxy.store.sql.clock import database_now, database_time
from proxy.store.sql.rows import count_up
from proxy.store.sql.tables import canary_counts

CanaryOutcome: TypeAlias = Literal["error", "difference"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS: Final = 60  # of a window: rows are few, and the window is at most one step too short
_SHORTEST_STEP: Final = timedelta(seconds=1)  # counts are written each second
_LIFE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CanaryWindow:
    """The window of time in which outcomes of one kind count.

    They count `since` a revision of the overrides of this route and scope: after a change, or a rollback,
    every process counts from nothing.
    """

    route: str
    scope: str
    kind: CanaryOutcome
    since: int
    length: timedelta


class CanaryCount(NamedTuple):
    """The outcomes that were seen, and how many of them were bad."""

    seen: int
    bad: int


NO_COUNTS: Final[Mapping[CanaryWindow, CanaryCount]] = MappingProxyType({})


def add_canary_counts(conn: Connection, counted: Mapping[CanaryWindow, CanaryCount], at: datetime) -> None:
    """Adds the counts to those of all processes, at the current step of time."""
    if not counted:
        return
    now = database_now(conn, at)
    rows = [
        {**_key(window), "at": _step(now, window.length), "count": count.seen, "bad": count.bad}
        for window, count in counted.items()
    ]
    count_up(conn, canary_counts, rows, adding=("count", "bad"))


def canary_count(conn: Connection, window: CanaryWindow, at: datetime) -> CanaryCount:
    """Returns the counts of all processes within the window, up to now."""
    table = canary_counts.c
    totals = select(func.coalesce(func.sum(table.count), 0), func.coalesce(func.sum(table.bad), 0))
    within = totals.filter_by(**_key(window)).where(table.at > database_time(conn, at, -window.length))
    return CanaryCount(*map(int, conn.execute(within).one()))


def delete_old_canary_counts(conn: Connection, now: datetime) -> None:
    """Removes the counts that no window reaches any more."""
    conn.execute(delete(canary_counts).where(canary_counts.c.at < database_time(conn, now, -_LIFE)))


def _key(window: CanaryWindow) -> dict[str, str | int]:
    return {"route": window.route, "scope": window.scope, "kind": window.kind, "since": window.since}


def _step(now: datetime, length: timedelta) -> datetime:
    """Returns the beginning of the step: what counts from there on is never older than the window."""
    return now - (now - _EPOCH) % max(length / _STEPS, _SHORTEST_STEP)
