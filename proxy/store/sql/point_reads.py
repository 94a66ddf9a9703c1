"""Reads single rows by keys: each statement is compiled once, and passed straight to the driver."""

from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.sql.selectable import CompoundSelect

from proxy.store.sql.dialects import POSTGRESQL, SQLITE, on_driver, postgresql

_Process: TypeAlias = Callable[[Any], Any]


class PointRead:
    """A SELECT with `bindparam`s for the keys.

    SQLAlchemy takes four times as long to run a compiled statement as SQLite takes to answer it, and a few
    such reads answer most requests; with PostgreSQL's driver it is much the same. A bound value is passed as
    it is: no `bindparam` may have a type of its own.
    """

    def __init__(self, statement: Select[Any] | CompoundSelect[Any]) -> None:
        self._statement = statement
        self._sqlite = _compiled(statement, SQLITE)
        self._row = _row_of([str(column.key) for column in statement.selected_columns])

    @cached_property
    def _postgresql(self) -> "_Compiled":
        return _compiled(self._statement, postgresql())

    def first(self, conn: Connection, **values: Any) -> Any:
        """Returns the first row, its columns by their names; None when there is none."""
        if conn.dialect.name == POSTGRESQL:
            return on_driver(conn, lambda driver: self.first_of(driver, **values))
        compiled = self._sqlite
        driver: Any = conn.connection.driver_connection
        return self._as_row(compiled, driver.execute(compiled.sql, compiled.given(values)).fetchone())

    async def first_of(self, driver: Any, **values: Any) -> Any:
        """Returns the same as `first`, by an open connection of PostgreSQL's driver."""
        compiled = self._postgresql
        return self._as_row(compiled, await driver.fetchrow(compiled.sql, *compiled.given(values)))

    def _as_row(self, compiled: "_Compiled", found: Any) -> Any:
        if found is None:
            return None
        if compiled.processors:
            found = [*found]
            for number, process in compiled.processors:
                found[number] = process(found[number])
        return self._row._make(found)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in a dialect: its parameters in their order, and the processors of some columns."""

    sql: str
    names: Sequence[str]
    defaults: dict[str, Any]
    processors: Sequence[tuple[int, _Process]]

    def given(self, values: dict[str, Any]) -> list[Any]:
        return [values[name] if name in values else self.defaults[name] for name in self.names]


def _compiled(statement: Select[Any] | CompoundSelect[Any], dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    columns = enumerate(statement.selected_columns)
    found = [(number, process) for number, c in columns if (process := _processor(c.type, dialect))]
    return _Compiled(str(compiled), compiled.positiontup or (), {**compiled.params}, found)


def _row_of(names: Sequence[str]) -> Any:
    return namedtuple("Row", names)


def _processor(kind: Any, dialect: Dialect) -> _Process | None:
    process: _Process | None = kind.dialect_impl(dialect).result_processor(dialect, None)
    return process
