"""Queries the overrides: the newest revision, the changes to undo, and the rows that may be in force."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, Select, func, or_, select, type_coerce

from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.tables import overrides

_FOR_GOOD: Final = 2**62  # later than any time

_OF_ONE_KEY: Final = (overrides.c.route, overrides.c.scope)
_ROLLBACKS: Final = select(overrides).where(overrides.c.undoes.is_not(None))
_UNDONE: Final = _ROLLBACKS.with_only_columns(overrides.c.undoes)
_LAST_ROLLBACKS: Final = _ROLLBACKS.with_only_columns(func.max(overrides.c.revision)).group_by(*_OF_ONE_KEY)
# The changes that an operator made and nobody has undone.
_CHANGES: Final = select(overrides).where(overrides.c.undoes.is_(None), overrides.c.revision.not_in(_UNDONE))

_NEWEST: Final = PointRead(select(func.coalesce(func.max(overrides.c.revision), 0).label("revision")))


def current_revision(conn: Connection) -> int:
    """Returns the revision of the newest row; 0 before the first."""
    newest: int = _NEWEST.first(conn).revision
    return newest


def newest_change(conn: Connection, route: str | None) -> Row[Any] | None:
    """Returns the newest change (of the route, if one is named) that is no rollback and not undone."""
    query = of_route(_CHANGES, route).limit(1)
    row: Row[Any] | None = conn.execute(query).one_or_none()
    return row


def change_before(conn: Connection, newest: Row[Any], at: datetime) -> Row[Any] | None:
    """Returns the change in force at `at` without `newest`, the newest one of its route and scope."""
    query = of_route(_CHANGES, newest.route).where(
        overrides.c.scope == newest.scope,
        overrides.c.revision < newest.revision,
        or_(overrides.c.until.is_(None), overrides.c.until > at),
    )
    row: Row[Any] | None = conn.execute(query.limit(1)).one_or_none()
    return row


def of_route(query: Select[Any], route: str | None) -> Select[Any]:
    """Returns the query with its rows newest first (of the route, if one is named)."""
    newest_first = query.order_by(overrides.c.revision.desc())
    return newest_first if route is None else newest_first.where(overrides.c.route == route)


def uncovered() -> Select[Any]:
    """Returns the query for the rows that `overrides_of` would use of the whole history.

    These rows count, and end later than every newer row of their route and scope.
    """
    end = func.coalesce(type_coerce(overrides.c.until, BigInteger), _FOR_GOOD)
    newest_first = overrides.c.revision.desc()
    newer = func.max(end).over(partition_by=_OF_ONE_KEY, order_by=newest_first, rows=(None, -1))
    counting = select(overrides.c.revision, end.label("end"), newer.label("newer")).where(
        overrides.c.revision.not_in(_UNDONE),
        or_(overrides.c.undoes.is_(None), overrides.c.revision.in_(_LAST_ROLLBACKS)),
    )
    rows = counting.subquery()
    longest = select(rows.c.revision).where(or_(rows.c.newer.is_(None), rows.c.end > rows.c.newer))
    return select(overrides).where(overrides.c.revision.in_(longest))
