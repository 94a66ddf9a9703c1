"""Reads a table in its keys' order, in pages of few rows and few bytes: a row may have megabytes."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    cast,
    func,
    literal,
    select,
    tuple_,
)

# The values of a row's primary key, in the order of its columns.
Key: TypeAlias = tuple[Any, ...]


def within(table: Table, after: Key | None, last: Key) -> Sequence[ColumnElement[bool]]:
    """Returns the conditions for the rows beyond one key, up to another one."""
    return [*_beyond(table, after), tuple_(*table.primary_key.columns) <= tuple_(*last)]


def last_of_page(
    conn: Connection,
    table: Table,
    size: ColumnElement[int],
    after: Key | None,
    *,
    most_rows: int,
    most_bytes: int,
) -> Key | None:
    """Returns the key of the last row of the next page; None when there is no further row.

    The sizes of its rows are together not larger than `most_bytes`, unless one row's is.
    """
    keys = table.primary_key.columns
    sizes = select(*keys, size).where(*_beyond(table, after)).order_by(*keys).limit(most_rows)
    found = conn.execute(sizes).all()
    if not found:
        return None
    return tuple(found[_fitting([row[-1] for row in found], most_bytes) - 1][:-1])


def lengths(columns: Sequence[Column[Any]]) -> ColumnElement[int]:
    """Returns the size of a row's values in these columns, which may be large."""
    return reduce(add, (func.coalesce(_length(column), 0) for column in columns), literal(0))


def _beyond(table: Table, after: Key | None) -> Sequence[ColumnElement[bool]]:
    return [] if after is None else [tuple_(*table.primary_key.columns) > tuple_(*after)]


def _length(column: Column[Any]) -> ColumnElement[int]:
    return func.length(cast(column, String) if isinstance(column.type, JSON) else column)


def _fitting(sizes: Sequence[int], most_bytes: int) -> int:
    """Returns how many of the first rows are together not too large, at least 1."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > most_bytes:
            return max(1, count)
    return len(sizes)
