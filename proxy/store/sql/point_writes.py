"""Writes rows: each statement is compiled once, and passed straight to the driver (see `PointRead`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, Delete, Dialect, Insert, Update

from proxy.store.errors import StoreError
from proxy.store.sql.dialects import POSTGRESQL, SQLITE, on_driver, postgresql

_Values: TypeAlias = Mapping[str, Any]


class PointWrite:
    """An INSERT, or an UPDATE or DELETE with `bindparam`s for the keys.

    The names of the values say which columns are written.
    """

    def __init__(self, statement: Insert | Update | Delete) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def run(self, conn: Connection, values: _Values) -> int:
        """Runs the statement once; returns the number of rows that it wrote."""
        compiled = self._for(conn, values)
        given = compiled.parameters(values)
        if conn.dialect.name == POSTGRESQL:
            status: str = on_driver(conn, lambda driver: driver.execute(compiled.sql, *given))
            return int(status.rpartition(" ")[2])  # "INSERT 0 1", "UPDATE 1"
        driver: Any = conn.connection.driver_connection
        found: int = driver.execute(compiled.sql, given).rowcount
        return found

    def run_all(self, conn: Connection, rows: Sequence[_Values]) -> None:
        """Writes several rows, all with the same names."""
        compiled = self._for(conn, rows[0])
        if conn.dialect.name == POSTGRESQL:
            given = [*map(compiled.parameters, rows)]
            on_driver(conn, lambda driver: driver.executemany(compiled.sql, given))
            return
        driver: Any = conn.connection.driver_connection
        driver.executemany(compiled.sql, map(compiled.parameters, rows))

    def _for(self, conn: Connection, values: _Values) -> "_Compiled":
        key = (conn.dialect.name, *values)
        compiled = self._compiled.get(key)
        if compiled is None:
            # The names come from the code, never from a request: they are few.
            dialect = postgresql() if conn.dialect.name == POSTGRESQL else SQLITE
            compiled = self._compiled[key] = _compiled(self._statement, (*values,), dialect)
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


def _compiled(statement: Insert | Update | Delete, names: Sequence[str], dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect, column_keys=[*names])
    used: Sequence[str] = compiled.positiontup or ()
    fixed = {name: compiled.params[name] for name in used if name not in names}
    slots = [(name, _processor(compiled.binds[name].type, dialect)) for name in used]
    return _Compiled(str(compiled), fixed, slots)


def _processor(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    process: Callable[[Any], Any] | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return process
