"""Reads single rows by keys: each statement is compiled once, and passed straight to the driver."""

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.selectable import CompoundSelect

DIALECT: Final = sqlite.dialect(paramstyle="qmark")


class PointRead:
    """A SELECT with `bindparam`s for the keys.

    SQLAlchemy takes four times as long to run a compiled statement as SQLite takes to answer it, and a few
    such reads answer most requests. On any other database, SQLAlchemy runs the statement.
    """

    def __init__(self, statement: Select[Any] | CompoundSelect[Any]) -> None:
        compiled = statement.compile(dialect=DIALECT)
        columns = [*statement.selected_columns]
        self._statement = statement
        self._sql = str(compiled)
        self._names: Sequence[str] = compiled.positiontup or ()
        self._defaults = compiled.params
        self._processors = [(n, p) for n, c in enumerate(columns) if (p := _processor(c.type))]
        self._row = _row_of([column.key for column in columns])

    def first(self, conn: Connection, **values: Any) -> Any:
        """Returns the first row, its columns by their names; None when there is none."""
        if conn.dialect.name != DIALECT.name:
            return conn.execute(self._statement, values).first()
        driver: Any = conn.connection.driver_connection
        defaults = self._defaults
        given = [values[name] if name in values else defaults[name] for name in self._names]
        found = driver.execute(self._sql, given).fetchone()
        if found is None:
            return None
        if self._processors:
            found = [*found]
            for number, process in self._processors:
                found[number] = process(found[number])
        return self._row._make(found)


def _row_of(names: Sequence[str]) -> Any:
    return namedtuple("Row", names)


def _processor(kind: Any) -> Callable[[Any], Any] | None:
    process: Callable[[Any], Any] | None = kind.dialect_impl(DIALECT).result_processor(DIALECT, None)
    return process
