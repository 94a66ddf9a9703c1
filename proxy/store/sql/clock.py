"""Gives the time by which processes of several machines decide: the database's own, where they share it."""

from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    cast,
    extract,
    func,
    literal,
    select,
    type_coerce,
)

from proxy.store.sql.rows import has_one_writer
from proxy.store.sql.tables import Moment

Time: TypeAlias = "datetime | ColumnElement[datetime]"

_MICROSECOND: Final = timedelta(microseconds=1)


def database_time(conn: Connection, at: datetime, later: timedelta = timedelta()) -> Time:
    """Returns `at`, the time of this process, plus `later`; a value for a statement.

    On a database that several machines share, it is the database's time instead of `at`: their clocks differ.
    """
    if has_one_writer(conn):
        return at + later
    # Not `now()`, which is the time at which the transaction began: it may have waited since.
    microseconds = cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
    return type_coerce(microseconds + literal(later // _MICROSECOND, BigInteger), Moment)


def database_now(conn: Connection, at: datetime) -> datetime:
    """Returns `at`, the time of this process, or the database's as `database_time` does, as a value."""
    now = database_time(conn, at)
    if isinstance(now, datetime):
        return now
    asked: datetime = conn.execute(select(now)).scalar_one()
    return asked
