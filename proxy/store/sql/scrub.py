"""Removes every trace of removed and replaced data from the database's files, while others use them."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from proxy.store.errors import StoreError, because

_WAIT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


def scrub(path: Path) -> None:
    """Writes the file anew, and empties its log. Blocks; others can read meanwhile, but not write.

    Removed data is overwritten at once (`secure_delete`), but not the copies that SQLite leaves in the gaps
    of its pages when it moves rows: only a new file has none. The disk needs room for that file.
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
            raise StoreError("the database's log could not be emptied: another process reads all the time")
        time.sleep(_POLL_SECONDS)


def _busy(connection: sqlite3.Connection) -> bool:
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(busy)
