"""Holds a PostgreSQL database still, or a right of this process alone, by one open transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from proxy.store.errors import StoreError, because
from proxy.store.sql.postgresql.connections import Server
from proxy.store.sql.postgresql.errors import DRIVER_ERRORS
from proxy.store.sql.tables import metadata

_CLOSE_SECONDS: Final = 2.0
_COPY: Final = 0x6D696370  # of the one copy at a time
_ALONE: Final = f"SELECT pg_try_advisory_xact_lock({_COPY})"
# The server would end a transaction that does nothing for long.
_BEGIN: Final = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0"
# The copy's own lease is in another table.
_SHARE: Final = f"LOCK TABLE {', '.join(map(str, metadata.sorted_tables))} IN SHARE MODE"
_LOST: Final = "the database is not held any more: the connection was lost; run this again"


@asynccontextmanager
async def still_postgresql(server: Server) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Locks the store's tables against writing. Raises StoreError when others write for more than 10 s.

    The function that it gives raises StoreError when the lock is lost.
    """
    async with _transaction(server) as driver:
        try:
            await driver.execute(_SHARE)
        except DRIVER_ERRORS as error:
            raise because("the database can't be held still", error) from error
        yield partial(_check, driver)


@asynccontextmanager
async def copying_alone(server: Server) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Takes the right to copy into this database. Raises StoreError when another process has it.

    The function that it gives raises StoreError when the right is lost.
    """
    async with _transaction(server) as driver:
        if not await driver.fetchval(_ALONE):
            raise StoreError("another process copies into this database")
        yield partial(_check, driver)


@asynccontextmanager
async def _transaction(server: Server) -> AsyncIterator[Any]:
    try:
        driver = await server.connect()
        await driver.execute(_BEGIN)
    except DRIVER_ERRORS as error:
        raise because("the database can't be reached", error) from error
    try:
        yield driver
    finally:
        with suppress(*DRIVER_ERRORS, TimeoutError):
            await driver.close(timeout=_CLOSE_SECONDS)


async def _check(driver: Any) -> None:
    """Raises StoreError when the transaction is not open any more."""
    try:
        await driver.fetchval("SELECT 1")
    except DRIVER_ERRORS as error:
        raise because(_LOST, error) from error
    if not driver.is_in_transaction():
        raise StoreError(_LOST)
