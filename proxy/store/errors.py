"""What goes wrong in the store; no text here ever holds stored data."""

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

Cause: TypeAlias = Literal["store-full", "store-locked", "store-readonly", "store-corrupt", "store-failed"]

# By SQLite's primary result code, and by the system's error number.
_OF_SQLITE: Final[Mapping[int, Cause]] = {
    sqlite3.SQLITE_FULL: "store-full",
    sqlite3.SQLITE_BUSY: "store-locked",
    sqlite3.SQLITE_LOCKED: "store-locked",
    sqlite3.SQLITE_READONLY: "store-readonly",
    sqlite3.SQLITE_CORRUPT: "store-corrupt",
    sqlite3.SQLITE_NOTADB: "store-corrupt",
}
_OF_SYSTEM: Final[Mapping[int | None, Cause]] = {
    errno.ENOSPC: "store-full",
    errno.EDQUOT: "store-full",
    errno.EROFS: "store-readonly",
    errno.EACCES: "store-readonly",
    errno.EPERM: "store-readonly",
}
_PRIMARY: Final = 0xFF  # the rest of an extended code tells where it happened
_SENTENCES: Final[Mapping[Cause, str]] = {
    "store-full": "the disk of the store is full; make room on it",
    "store-locked": "another process holds the database; end the one that does, or wait",
    "store-readonly": "the store can't be written to; its files and folders must be this user's own",
    "store-corrupt": "the database's file is damaged, or is no SQLite database; bring back a backup",
}


class StoreError(Exception):
    """The store can't do what was asked; the text says why and, for a setting, how to mend it. `cause` is a
    code for the client's operator, the log and /readyz."""

    def __init__(self, text: str, cause: Cause = "store-failed") -> None:
        super().__init__(text)
        self.cause: Cause = cause


class BlobError(StoreError):
    """A blob is missing, cut, or not what was written."""


def cause_of(error: BaseException | None) -> Cause:
    """Returns the cause by the first code of SQLite's, or of the system's, that the error comes from."""
    return next((found for each in _chain(error) if (found := _own_cause(each))), "store-failed")


def because(said: str, error: BaseException | None) -> StoreError:
    """Makes a StoreError that tells what the error comes from, where that is known."""
    cause = cause_of(error)
    return StoreError(f"{said}: {_SENTENCES[cause]}" if cause in _SENTENCES else said, cause)


def _own_cause(error: BaseException) -> Cause | None:
    if isinstance(error, StoreError):
        return None if error.cause == "store-failed" else error.cause
    if isinstance(error, sqlite3.Error):
        return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
    return _OF_SYSTEM.get(error.errno) if isinstance(error, OSError) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    waiting = [error]
    while waiting:
        if (each := waiting.pop(0)) is not None:
            yield each
            waiting += [getattr(each, "orig", None), each.__cause__]
