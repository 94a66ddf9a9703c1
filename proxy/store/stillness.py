"""Holds an SQLite database still: others read it, and nobody writes to it until the block ends."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from proxy.store.errors import because
from proxy.store.sql.engines import OpenTransaction

# Raises StoreError when what was held is lost.
Check: TypeAlias = Callable[[], Awaitable[None]]

_PATIENT: Final = 5_000  # milliseconds that it waits for those who write


async def nothing_held() -> None:
    """Finds nothing lost: the process holds nothing that could be lost while it runs."""


@asynccontextmanager
async def still_sqlite(path: Path) -> AsyncIterator[Check]:
    """Takes the right to write to the file, and writes nothing. Raises StoreError when others write."""
    try:
        held = await asyncio.to_thread(OpenTransaction, path, _PATIENT)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise because("the database can't be held still", error) from error
    try:
        yield nothing_held
    finally:
        await asyncio.to_thread(held.close)
