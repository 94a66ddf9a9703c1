"""SQLite as the store needs it: WAL, every commit on disk, and transactions that begin when we say so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from proxy.store.errors import StoreError

READERS: Final = 4
_POOL_WAIT_SECONDS: Final = 10.0
_SYNCHRONOUS_FULL: Final = 2

# What a connection is told, and what it must answer when asked.
_PRAGMAS: Final[Mapping[str, tuple[str, object]]] = {
    "busy_timeout": ("30000", 30000),  # first: the next ones may have to wait for another process
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", _SYNCHRONOUS_FULL),
    "foreign_keys": ("ON", 1),
    "secure_delete": ("ON", 1),  # what is removed or replaced is overwritten, whatever SQLite was built with
}


def migration_engine(path: Path) -> Engine:
    """A blocking engine for the migrations; DDL is inside the transaction."""
    engine = create_engine(_url("sqlite", path), hide_parameters=True)
    return _prepared(engine, begin="BEGIN IMMEDIATE")


def write_engine(path: Path) -> AsyncEngine:
    """One connection whose transactions hold the write lock from their first statement: a deferred one
    could find the lock taken when it is too late to wait for it."""
    engine = create_async_engine(
        _url("sqlite+aiosqlite", path), hide_parameters=True, pool_size=1, max_overflow=0
    )
    _prepared(engine.sync_engine, begin="BEGIN IMMEDIATE")
    return engine


def read_engine(path: Path) -> AsyncEngine:
    """A few connections that can't write; a transaction sees one state of the database."""
    engine = create_async_engine(
        _url("sqlite+aiosqlite", path),
        hide_parameters=True,
        pool_size=READERS,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
    )
    _prepared(engine.sync_engine, begin="BEGIN", extra={"query_only": ("ON", 1)})
    return engine


def _url(driver: str, path: Path) -> URL:
    return URL.create(driver, database=str(path))


def _prepared(engine: Engine, *, begin: str, extra: Mapping[str, tuple[str, object]] | None = None) -> Engine:
    pragmas = {**_PRAGMAS, **(extra or {})}

    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred, and skips DDL
        cursor = connection.cursor()
        for name, (value, expected) in pragmas.items():
            _set(cursor, name, value, expected)
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


def _set(cursor: Any, name: str, value: str, expected: object) -> None:
    cursor.execute(f"PRAGMA {name}={value}")
    cursor.execute(f"PRAGMA {name}")
    if (answer := cursor.fetchone()[0]) != expected:
        raise StoreError(f"SQLite refuses {name}={value} on this file system (it stays {answer})")
