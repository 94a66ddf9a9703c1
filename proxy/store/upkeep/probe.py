"""Tries, for readiness, whether the store takes a write, and measures the room on its disks."""

import asyncio
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete

from proxy.store.blobs.protocol import Blobs
from proxy.store.errors import StoreError, because
from proxy.store.locations import try_room
from proxy.store.sql.database import Database
from proxy.store.sql.rows import has_one_writer, insert_missing, upsert
from proxy.store.sql.tables import meta

_SECONDS: Final = 5.0
_FRESH_SECONDS: Final = 3.0
_LOW: Final = 0.1


@dataclass(frozen=True, slots=True)
class Space:
    """The bytes of a disk, and those of them that are free for this user."""

    free: int
    total: int

    @property
    def share(self) -> float:
        return self.free / self.total if self.total else 1.0

    @property
    def low(self) -> bool:
        """Returns whether less than a tenth is free."""
        return self.share < _LOW


class Last:
    """The outcome of the last try, and the lock of the one who is trying."""

    def __init__(self) -> None:
        self.trying = asyncio.Lock()
        self.at: float | None = None
        self.failure: StoreError | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Writes a row and a small file, at most once in 3 s; meanwhile every caller gets the last outcome.

    `folder` is the database's own, if it has one here.
    """

    database: Database
    blobs: Blobs
    folder: Path | None
    last: Last = field(default_factory=Last)

    async def check(self, monotonic: Callable[[], float]) -> None:
        """Raises StoreError when a write does not go through within 5 s."""
        last = self.last
        async with last.trying:
            if last.at is None or monotonic() - last.at >= _FRESH_SECONDS:
                last.failure = await self._outcome()
                last.at = monotonic()
        if last.failure is not None:
            raise StoreError(str(last.failure), last.failure.cause) from last.failure

    async def space(self) -> Space | None:
        """Returns the room of the fuller disk of this machine; None when nothing of the store is on it.

        Raises StoreError when a folder is gone.
        """
        own = () if self.folder is None else (self.folder,)
        folders = (*own, *self.blobs.local_folders)
        try:
            found = await asyncio.to_thread(lambda: [shutil.disk_usage(each) for each in folders])
        except OSError as error:
            raise because("the room on the store's disk can't be read", error) from error
        spaces = [Space(each.free, each.total) for each in found]
        return min(spaces, key=lambda each: each.share, default=None)

    async def _outcome(self) -> StoreError | None:
        try:
            async with asyncio.timeout(_SECONDS):
                await self._write()
        except StoreError as error:
            return error
        except TimeoutError:
            said = "the store does not answer: another process holds it locked, or its disk hangs"
            return StoreError(said, "store-locked")
        return None

    async def _write(self) -> None:
        """Writes a row, then a file: a row that fits into SQLite's log needs no room on the disk."""
        await self.database.write(_write_row)
        if self.folder is not None:
            try:
                await asyncio.to_thread(try_room, self.folder)
            except OSError as error:
                raise because("MICHIQ_DATABASE_URL: no file can be written to its folder", error) from error
        await self.blobs.check()


def database_size(conn: Connection) -> int:
    """Returns the bytes of the database, indexes included."""
    if has_one_writer(conn):
        asked = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        asked = "SELECT pg_database_size(current_database())"
    return int(conn.exec_driver_sql(asked).scalar_one())


def _write_row(conn: Connection) -> None:
    if has_one_writer(conn):
        upsert(conn, meta, {"name": "probe"}, {"value": secrets.token_bytes(8)})
        return
    # No row that others try too: one whose machine hangs within its transaction would make all unready.
    row = {"name": f"probe {secrets.token_hex(8)}", "value": b""}
    insert_missing(conn, meta, [row])
    conn.execute(delete(meta).filter_by(name=row["name"]))
