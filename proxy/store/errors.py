"""What goes wrong in the store; no text here ever holds stored data."""

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

Cause: TypeAlias = Literal["store-full", "store-locked", "store-readonly", "store-corrupt", "store-failed"]

_FULL: Final = "the disk is full; make room on it"
_LOCKED: Final = "another process holds the database, and does not let go; end it, or wait for it"
_READONLY: Final = "it can't be written to; its file system and its folder's owner must allow it"
_DENIED: Final = "it may not be opened; file and folder must be there, and this user's own"

# By SQLite's primary result code, and by the system's error number: the cause, and what to do about it.
_OF_SQLITE: Final[Mapping[int, tuple[Cause, str]]] = {
    sqlite3.SQLITE_FULL: ("store-full", _FULL),
    sqlite3.SQLITE_BUSY: ("store-locked", _LOCKED),
    sqlite3.SQLITE_LOCKED: ("store-locked", _LOCKED),
    sqlite3.SQLITE_READONLY: ("store-readonly", _READONLY),
    sqlite3.SQLITE_CORRUPT: ("store-corrupt", "the file is damaged; bring back a backup"),
    sqlite3.SQLITE_NOTADB: ("store-corrupt", "the file is no SQLite database; is the path right?"),
    sqlite3.SQLITE_CANTOPEN: ("store-failed", _DENIED),
    sqlite3.SQLITE_PERM: ("store-failed", _DENIED),
}
_OF_SYSTEM: Final[Mapping[int | None, tuple[Cause, str]]] = {
    errno.ENOSPC: ("store-full", _FULL),
    errno.EDQUOT: ("store-full", "this user's share of the disk is full; make room, or have it raised"),
    errno.EROFS: ("store-readonly", _READONLY),
    errno.EACCES: ("store-readonly", _DENIED),
    errno.EPERM: ("store-readonly", _DENIED),
}
_PRIMARY: Final = 0xFF  # the rest of an extended code tells where it happened


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
    return _trouble(error)[0]


def because(said: str, error: BaseException | None) -> StoreError:
    """Makes a StoreError that tells what the error comes from, where that is known."""
    cause, sentence = _trouble(error)
    return StoreError(f"{said}: {sentence}" if sentence else said, cause)


def _trouble(error: BaseException | None) -> tuple[Cause, str]:
    return next((found for each in _chain(error) if (found := _own(each))), ("store-failed", ""))


def _own(error: BaseException) -> tuple[Cause, str] | None:
    if isinstance(error, sqlite3.Error):
        return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
    if isinstance(error, StoreError):
        return None if error.cause == "store-failed" else (error.cause, str(error))
    return _OF_SYSTEM.get(error.errno) if isinstance(error, OSError) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    waiting = [error]
    while waiting:
        if (each := waiting.pop(0)) is not None:
            yield each
            waiting += [getattr(each, "orig", None), each.__cause__]
