"""Opens SQLite as the store needs it: WAL, every commit on disk, transactions that the store begins."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from proxy.store.errors import StoreError
from proxy.store.sql.point_reads import PointRead

T = TypeVar("T")
Begin: TypeAlias = Literal["BEGIN", "BEGIN IMMEDIATE"]

_SYNCHRONOUS_FULL: Final = 2
_PATIENT: Final = 30_000  # milliseconds that a connection waits for a lock

# Each pragma's value as it is set, and as SQLite must report it afterwards. `busy_timeout` comes before them:
# setting these may have to wait for another process.
_PRAGMAS: Final[Mapping[str, tuple[str, object]]] = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", _SYNCHRONOUS_FULL),
    "foreign_keys": ("ON", 1),
    "secure_delete": ("ON", 1),  # removed and replaced data is overwritten, whatever SQLite was built with
}


class OpenConnection:
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
        # With the first read, SQLite opens its log and the log's index: now rather than with a request.
        self._raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def run(self, works: Sequence[Callable[[Connection], T]]) -> list[T]:
        """Runs all works in one transaction.

        Raises the error of a work, of SQLAlchemy or of sqlite3, with nothing of any work written. BEGIN and
        COMMIT go to the driver: SQLAlchemy's own way to them takes longer than a point read.
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
        """Returns the first row of a read, without a transaction: one statement sees one state."""
        return read.first(self._conn, **values)

    def _checked(self, work: Callable[[Connection], T]) -> T:
        result = work(self._conn)
        if not self._raw.in_transaction:
            # SQLite rolls a transaction back by itself on some failures (disk full, I/O error). Going on
            # would write the rest of the group outside of any transaction.
            raise StoreError("SQLite rolled the transaction back")
        return result

    def taken(self, name: str) -> list[Any]:
        """Returns and clears the values that units of work left under a name in the connection's `info`."""
        left: list[Any] = self._conn.info.pop(name, [])
        return left

    def close(self) -> None:
        self._conn.close()
        self._engine.dispose()


class OpenTransaction:
    """A transaction that is alone allowed to write, and never does."""

    def __init__(self, path: Path, wait_ms: int) -> None:
        self._engine = _engine(path, wait_ms, {})
        self._conn = self._engine.connect()
        try:
            self._conn.exec_driver_sql("BEGIN IMMEDIATE")
        except SQLAlchemyError:
            self.close()
            raise

    def close(self) -> None:
        self._conn.close()  # which rolls back
        self._engine.dispose()


def migration_engine(path: Path) -> Engine:
    """Returns a blocking engine for the migrations; DDL is inside the transaction."""
    engine = _engine(path, _PATIENT, {})

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", on_begin)
    return engine


def _engine(path: Path, wait_ms: int, extra: Mapping[str, tuple[str, object]]) -> Engine:
    url = URL.create("sqlite", database=str(path))
    # One thread at a time uses a connection, but not always the same one.
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
