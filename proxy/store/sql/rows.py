"""Makes the statements that several tables need."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    delete,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects import sqlite

from proxy.store.sql.point_writes import PointWrite
from proxy.values import folded_id

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    _DialectInsert: TypeAlias = sqlite.Insert | postgresql.Insert

# Returns, within a unit of work, whether the process of this name lives (`Presence.lives`).
Lives: TypeAlias = Callable[[Connection, str | None], bool]

_Rows: TypeAlias = Sequence[Mapping[str, Any]]

_BATCH: Final = 500  # far below the number of parameters that a statement may have


def upsert(conn: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Sets the columns `values` of the row under `key`, the table's primary key, or makes that row.

    It is one statement: a row that another process makes meanwhile is changed, and causes no error. `values`
    must have each column that may not be NULL.
    """
    _upsert_into(conn.dialect.name, table, (*values,)).run(conn, {**key, **values})


def upsert_computed(
    conn: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Does the same as `upsert` with `values` of which some are expressions; it takes longer."""
    statement = _insert_into(conn.dialect.name, table).values(**key, **values)
    changed = {name: statement.excluded[name] for name in values}
    conn.execute(statement.on_conflict_do_update(index_elements=_key(table), set_=changed))


def put(conn: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Does the same as `upsert`; returns whether the row was there."""
    is_new = make(conn, table, {**key, **values})
    if not is_new:
        upsert(conn, table, key, values)
    return not is_new


def make(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Makes the row unless its key is there; returns whether it did.

    It waits for another transaction that has made the same row; so the first one has it for itself.
    """
    return _insert_missing_into(conn.dialect.name, table).run(conn, row) == 1


def insert_missing(conn: Connection, table: Table, rows: _Rows) -> None:
    """Makes the rows whose keys are not there yet, and leaves the others as they are."""
    if rows:
        _insert_missing_into(conn.dialect.name, table).run_all(conn, _in_order(conn, table, rows))


def delete_unused(conn: Connection, column: Column[Any], unused: ColumnElement[bool]) -> None:
    """Removes the `unused` rows that no other transaction is about to use; `column` is their key.

    The second statement looks again at rows that are locked by then: on a database with many writers, one
    may have come into use since the first.
    """
    free = select(column).where(unused).order_by(column).with_for_update(skip_locked=True, of=column.table)
    for batch in batches(conn.execute(free).scalars().all()):
        conn.execute(delete(column.table).where(column.in_(batch), unused))


def count_up(
    conn: Connection,
    table: Table,
    rows: _Rows,
    newest: Sequence[str] = (),
    adding: Sequence[str] = ("count",),
) -> None:
    """Adds each row's columns `adding` to those under its key and sets its columns `newest`.

    It makes the missing rows.
    """
    if rows:
        counting = _count_up_in(conn.dialect.name, table, (*newest,), (*adding,))
        counting.run_all(conn, _in_order(conn, table, rows))


def rows_of(query: Select[Any]) -> Callable[[Connection], Sequence[Row[Any]]]:
    """Returns the unit of work that reads all rows of a query."""

    def work(conn: Connection) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = conn.execute(query).all()
        return rows

    return work


def has_one_writer(conn: Connection) -> bool:
    """Returns whether one write at a time runs: what a unit of work has read then stays true to its end."""
    return conn.dialect.name != "postgresql"


def has_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Returns whether a row has these values; None stands for NULL."""
    found = select(literal(1)).select_from(table).filter_by(**values)
    return conn.execute(found.limit(1)).first() is not None


def own_spelling(spelling: str) -> str | None:
    """Returns the spelling to store beside a folded id; None when it is the same text (CONTRACT G03)."""
    return None if spelling == folded_id(spelling) else spelling


def nobody(_conn: Connection, _process: str | None) -> bool:
    """Returns that no process lives: the default for a single process that has just started."""
    return False


def everybody(_conn: Connection, _process: str | None) -> bool:
    """Returns that each process lives: for one that leaves the others' work to another one."""
    return True


def left_over(conn: Connection, table: Table, lives: Lives) -> ColumnElement[bool]:
    """Returns the condition for the table's intents whose process is dead.

    The processes with intents are read first, and only then asked whether they live: the other way round, a
    process that has just started would look dead.
    """
    owners = conn.execute(select(table.c.process).where(table.c.state == "intent").distinct())
    dead = [process for process in owners.scalars() if not lives(conn, process)]
    return and_(table.c.state == "intent", or_(table.c.process.is_(None), table.c.process.in_(dead)))


def batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Returns the items in runs short enough for one IN (…)."""
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


# The statements are cached: each takes longer to build than to run.


@cache
def _upsert_into(dialect: str, table: Table, names: tuple[str, ...]) -> PointWrite:
    statement = _insert_into(dialect, table)
    new = statement.excluded
    changed = {name: new[name] for name in names}
    return PointWrite(statement.on_conflict_do_update(index_elements=_key(table), set_=changed))


@cache
def _insert_missing_into(dialect: str, table: Table) -> PointWrite:
    statement = _insert_into(dialect, table).on_conflict_do_nothing(index_elements=_key(table))
    # Without this option SQLAlchemy drops the row count of an INSERT, at least with PostgreSQL.
    return PointWrite(statement.execution_options(preserve_rowcount=True))


@cache
def _count_up_in(dialect: str, table: Table, newest: tuple[str, ...], adding: tuple[str, ...]) -> PointWrite:
    statement = _insert_into(dialect, table)
    new = statement.excluded
    changed = {
        **{name: table.c[name] + new[name] for name in adding},
        **{name: new[name] for name in newest},
    }
    return PointWrite(statement.on_conflict_do_update(index_elements=_key(table), set_=changed))


def _insert_into(dialect: str, table: Table) -> "_DialectInsert":
    """Returns the dialect's own INSERT, which can say what happens when the key is there."""
    if dialect == "postgresql":
        # Imported only here, where it is used: it takes a tenth of a second.
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    return sqlite.insert(table)


def _in_order(conn: Connection, table: Table, rows: _Rows) -> _Rows:
    """Returns the rows by their keys: two transactions that lock the same rows never wait in a circle."""
    if len(rows) == 1 or has_one_writer(conn):
        return rows
    keys = _key(table)
    return sorted(rows, key=lambda row: [row[name] for name in keys])


def _key(table: Table) -> list[str]:
    return table.primary_key.columns.keys()
