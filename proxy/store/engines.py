"""SQLite as the store needs it: WAL, every commit on disk, and transactions that begin when we say so."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from proxy.store.errors import StoreError
from proxy.store.point_reads import PointRead

T = TypeVar("T")
Begin: TypeAlias = Literal["BEGIN", "BEGIN IMMEDIATE"]

_SYNCHRONOUS_FULL: Final = 2
_PATIENT: Final = 30_000  # milliseconds that a connection waits for a lock

# What a connection is told, and what it must answer when asked. The wait comes first: the next ones may have
# to wait for another process.
_PRAGMAS: Final[Mapping[str, tuple[str, object]]] = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", _SYNCHRONOUS_FULL),
    "foreign_keys": ("ON", 1),
    "secure_delete": ("ON", 1),  # what is removed or replaced is overwritten, whatever SQLite was built with
}


class KeptConnection:
    """One open connection to the file; any thread may use it, one at a time."""

    def __init__(self, path: Path, begin: Begin, *, wait_ms: int = _PATIENT) -> None:
        # The journal mode writes to a file that is not yet WAL, so `query_only` comes last.
        extra = {"query_only": ("ON", 1)} if begin == "BEGIN" else {}
        self._begin = begin
        self._engine = _engine(path, wait_ms, extra)
        self._conn = self._engine.connect()
        raw = self._conn.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise TypeError("the driver is not sqlite3")
        self._raw = raw
        # SQLite opens its log, and the index of it, with the first read.
        self._raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def run(self, works: Sequence[Callable[[Connection], T]]) -> list[T]:
        """Runs all works in one transaction. Raises what one of them, SQLAlchemy or sqlite3 raises, with
        nothing written of any.

        BEGIN and COMMIT go to the driver: SQLAlchemy's own way to them takes longer than a point read.
        """
        self._raw.execute(self._begin)
        try:
            results = [self._checked(work) for work in works]
            self._raw.execute("COMMIT")
        finally:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
        return results

    def first(self, read: PointRead, values: Mapping[str, Any]) -> Any:
        """Returns the first row of a read by itself: one statement sees one state of the database."""
        return read.first(self._conn, **values)

    def _checked(self, work: Callable[[Connection], T]) -> T:
        result = work(self._conn)
        if not self._raw.in_transaction:
            # SQLite undoes a transaction by itself on some failures (disk full, I/O error); going on would
            # write the rest of the group outside of any.
            raise StoreError("SQLite gave up the transaction")
        return result

    def taken(self, name: str) -> list[Any]:
        """Returns what units of work have left under a name in the connection's `info`, and clears it."""
        left: list[Any] = self._conn.info.pop(name, [])
        return left

    def close(self) -> None:
        self._conn.close()
        self._engine.dispose()


def migration_engine(path: Path) -> Engine:
    """A blocking engine for the migrations; DDL is inside the transaction."""
    engine = _engine(path, _PATIENT, {})

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", on_begin)
    return engine


def _engine(path: Path, wait_ms: int, extra: Mapping[str, tuple[str, object]]) -> Engine:
    url = URL.create("sqlite", database=str(path))
    # A connection is used by one thread at a time; which one changes.
    engine = create_engine(
        url, hide_parameters=True, poolclass=NullPool, connect_args={"check_same_thread": False}
    )
    pragmas = {"busy_timeout": (str(wait_ms), wait_ms), **_PRAGMAS, **extra}

    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred, and skips DDL
        cursor = connection.cursor()
        for name, (value, expected) in pragmas.items():
            _set(cursor, name, value, expected)
        cursor.close()

    event.listen(engine, "connect", on_connect)
    return engine


def _set(cursor: Any, name: str, value: str, expected: object) -> None:
    cursor.execute(f"PRAGMA {name}={value}")
    cursor.execute(f"PRAGMA {name}")
    if (answer := cursor.fetchone()[0]) != expected:
        raise StoreError(f"SQLite refuses {name}={value} on this file system (it stays {answer})")
