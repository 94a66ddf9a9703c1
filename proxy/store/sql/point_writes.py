"""Writes rows: each statement is compiled once, and passed straight to the driver (see `PointRead`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, Delete, Insert, Update

from proxy.store.errors import StoreError
from proxy.store.sql.point_reads import DIALECT

_Values: TypeAlias = Mapping[str, Any]


class PointWrite:
    """An INSERT, or an UPDATE or DELETE with `bindparam`s for the keys.

    The names of the values say which columns are written. On any database but SQLite, SQLAlchemy runs the
    statement.
    """

    def __init__(self, statement: Insert | Update | Delete) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def run(self, conn: Connection, values: _Values) -> int:
        """Runs the statement once; returns the number of rows that it wrote."""
        if conn.dialect.name != DIALECT.name:
            return conn.execute(self._statement, values).rowcount
        compiled = self._for(values)
        driver: Any = conn.connection.driver_connection
        found: int = driver.execute(compiled.sql, compiled.parameters(values)).rowcount
        return found

    def run_all(self, conn: Connection, rows: Sequence[_Values]) -> None:
        """Writes several rows, all with the same names."""
        if conn.dialect.name != DIALECT.name:
            conn.execute(self._statement, rows)
            return
        compiled = self._for(rows[0])
        driver: Any = conn.connection.driver_connection
        driver.executemany(compiled.sql, map(compiled.parameters, rows))

    def _for(self, values: _Values) -> "_Compiled":
        names = tuple(values)
        compiled = self._compiled.get(names)
        if compiled is None:
            # The names come from the code, never from a request: they are few.
            compiled = self._compiled[names] = _compiled(self._statement, names)
        return compiled


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement for values of certain names.

    `fixed` are the statement's own values; `slots` are the names of all values in the statement's order.
    """

    sql: str
    fixed: _Values
    slots: Sequence[tuple[str, Callable[[Any], Any] | None]]

    def parameters(self, values: _Values) -> list[Any]:
        """Returns the values as the driver takes them, in the statement's order.

        Raises StoreError when a column can't hold its value.
        """
        given = {**self.fixed, **values} if self.fixed else values
        try:
            return [process(given[name]) if process else given[name] for name, process in self.slots]
        except (TypeError, ValueError) as error:
            raise StoreError("a value is not of the kind that its column holds") from error


def _compiled(statement: Insert | Update | Delete, names: Sequence[str]) -> _Compiled:
    compiled: Any = statement.compile(dialect=DIALECT, column_keys=[*names])
    used: Sequence[str] = compiled.positiontup or ()
    fixed = {name: compiled.params[name] for name in used if name not in names}
    slots = [(name, _processor(compiled.binds[name].type)) for name in used]
    return _Compiled(str(compiled), fixed, slots)


def _processor(kind: Any) -> Callable[[Any], Any] | None:
    process: Callable[[Any], Any] | None = kind.dialect_impl(DIALECT).bind_processor(DIALECT)
    return process
