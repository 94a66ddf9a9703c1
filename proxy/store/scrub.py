"""Leaves no trace in the database's files of what was removed or replaced, while others read and write."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from proxy.store.errors import StoreError, because

_WAIT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


def scrub(path: Path) -> None:
    """Writes the file anew, and empties its log. Blocks; others can't write meanwhile, but read.

    What is removed is overwritten at once (`secure_delete`), yet not the copies that SQLite leaves in the
    gaps of its pages when it moves rows about: only a new file has none. It needs room for one on the disk.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            _empty_log(connection)
    except sqlite3.Error as error:
        raise because(f"the database's file could not be written anew ({error})", error) from error


def _empty_log(connection: sqlite3.Connection) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while _busy(connection):
        if time.monotonic() > end:
            raise StoreError("the database's log could not be emptied: somebody is reading all the time")
        time.sleep(_POLL_SECONDS)


def _busy(connection: sqlite3.Connection) -> bool:
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(busy)
