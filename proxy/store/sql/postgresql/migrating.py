"""Brings a PostgreSQL database to this release's schema, one process at a time, and checks its settings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.store.errors import StoreError, because
from proxy.store.sql.dialects import on_driver
from proxy.store.sql.migrate import bring_up_to_date
from proxy.store.sql.postgresql.errors import DRIVER_ERRORS
from proxy.store.sql.postgresql.tables import cluster_metadata
from proxy.store.sql.schema import Migrated

_LOCK: Final = 0x6D696368  # of the one migration at a time
_TRIES: Final = 5
_PAUSE: Final = 2.0
# By setting, the values with which a commit that was acknowledged is on disk.
_DURABLE: Final = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
}
_BESIDE_TABLES: Final = Path(__file__).with_name("beside_tables.sql")


def nothing_else(_: Connection) -> None:
    """Does nothing: the default where a migration is all that there is to do."""


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Opens one connection for what is done before the database is used. Raises StoreError."""
    with _reaching():
        conn = await engine.execution_options(isolation_level="READ COMMITTED").connect()
    try:
        yield conn
    finally:
        await conn.close()


async def migrate(
    conn: AsyncConnection, *, may_change: bool = True, also: Callable[[Connection], None] = nothing_else
) -> Migrated:
    """Makes or upgrades the schema, and does `also` something, in one transaction. Raises StoreError.

    Without `may_change`, a schema that would have to be made or upgraded is a StoreError, too. A change of a
    table waits for those who read it, and all others wait behind it: it gives up after 5 s, and tries again.
    """
    tries = 0
    while True:
        tries += 1
        try:
            async with conn.begin():
                return await conn.run_sync(partial(_migrate, may_change=may_change, also=also))
        except DRIVER_ERRORS as error:
            if tries == _TRIES or not _was_locked(error):
                raise because("MICHIQ_DATABASE_URL: the database can't be used", error) from error
        await asyncio.sleep(_PAUSE)


async def check_durable(conn: AsyncConnection) -> None:
    """Raises StoreError when the server can't be reached, or may lose what it has acknowledged."""
    asked = text(", ".join(f"current_setting('{name}')" for name in _DURABLE).join(("SELECT ", "")))
    with _reaching():
        async with conn.begin():
            found = (await conn.execute(asked)).one()
    for (name, safe), value in zip(_DURABLE.items(), found, strict=True):
        if value not in safe:
            raise StoreError(
                f"MICHIQ_DATABASE_URL: the server has {name} = {value}, and would lose data that it has "
                f"acknowledged; set it to {' or '.join(safe)}"
            )


def make_beside_tables(conn: Connection) -> None:
    """Makes what a new database needs beside the store's tables: triggers, and all that replicas share."""
    cluster_metadata.create_all(conn)
    statements = _BESIDE_TABLES.read_text(encoding="utf-8")
    on_driver(conn, lambda driver: driver.execute(statements))


def _migrate(conn: Connection, *, may_change: bool, also: Callable[[Connection], None]) -> Migrated:
    conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    conn.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
    migrated = bring_up_to_date(conn, make_beside_tables, may_change=may_change)
    also(conn)
    return migrated


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise because("MICHIQ_DATABASE_URL: the database can't be reached", error) from error


def _was_locked(error: BaseException) -> bool:
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "55P03"
