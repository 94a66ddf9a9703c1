"""Statements that several tables need."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    exists,
    insert,
    or_,
    select,
    update,
)

from proxy.store.point_writes import PointWrite
from proxy.values import folded_id

_Rows: TypeAlias = Sequence[Mapping[str, Any]]

_BATCH: Final = 500  # far under the number of parameters that a statement may have


def upsert(conn: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Sets the columns `values` of the row under `key`, which is made if need be; True when it was there."""
    row = {**key, **values}
    there = bool(_change_of(table, (*key,), (*values,)).run(conn, _parameters(row)))
    if not there:
        _insert_into(table).run(conn, row)
    return there


def insert_missing(conn: Connection, table: Table, rows: _Rows) -> None:
    """Makes the rows whose keys are not there yet, and leaves the others as they are."""
    if not rows:
        return
    _insert_missing_into(table, (*rows[0],)).run_all(conn, [_parameters(row) for row in rows])


def count_up(conn: Connection, table: Table, rows: _Rows, newest: Sequence[str] = ()) -> None:
    """Adds each row's `count` to the one under its key, whose columns `newest` it sets; makes missing ones.

    Two statements, however many rows there are; each key may be among them once.
    """
    if not rows:
        return
    needed = ("count", *newest, *table.primary_key.columns.keys())
    changes = [_parameters({name: row[name] for name in needed}) for row in rows]
    _grown(table, (*newest,)).run_all(conn, changes)
    insert_missing(conn, table, rows)


def own_spelling(spelling: str) -> str | None:
    """Returns what is kept beside a folded id: its spelling, where that is another one (CONTRACT G03)."""
    return None if spelling == folded_id(spelling) else spelling


def nobody(_process: str | None) -> bool:
    """No process lives, as when only one ever serves and it has just begun."""
    return False


def left_over(conn: Connection, table: Table, lives: Callable[[str | None], bool]) -> ColumnElement[bool]:
    """The intents among the table's rows whose process doesn't live any more.

    First who has intents, then who lives: the other way round, one that has just come would be missed.
    """
    owners = conn.execute(select(table.c.process).where(table.c.state == "intent").distinct())
    dead = [process for process in owners.scalars() if not lives(process)]
    return and_(table.c.state == "intent", or_(table.c.process.is_(None), table.c.process.in_(dead)))


def batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """The items in runs short enough for one IN (…)."""
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


@cache
def _change_of(table: Table, key: tuple[str, ...], values: tuple[str, ...]) -> PointWrite:
    """Returns the statement, which takes longer to build than to run."""
    where = [table.c[name] == _parameter(table, name) for name in key]
    return PointWrite(update(table).where(*where).values({name: _parameter(table, name) for name in values}))


@cache
def _insert_into(table: Table) -> PointWrite:
    return PointWrite(insert(table))


@cache
def _insert_missing_into(table: Table, names: tuple[str, ...]) -> PointWrite:
    values = {name: _parameter(table, name) for name in names}
    missing = select(*values.values()).where(~exists().where(*_same_key(table)))
    return PointWrite(insert(table).from_select([*values], missing))


@cache
def _grown(table: Table, newest: tuple[str, ...]) -> PointWrite:
    values = {name: _parameter(table, name) for name in newest}
    grown = update(table).where(*_same_key(table)).values(count=table.c.count + _parameter(table, "count"))
    return PointWrite(grown.values(**values))


def _same_key(table: Table) -> list[ColumnElement[bool]]:
    return [column == _parameter(table, column.name) for column in table.primary_key.columns]


def _parameter(table: Table, name: str) -> Any:
    # Not named as the column: SQLAlchemy takes that for a value to set.
    return bindparam(f"_{name}", type_=table.c[name].type)


def _parameters(row: Mapping[str, Any]) -> dict[str, Any]:
    return {f"_{name}": value for name, value in row.items()}
