"""Defines the store's errors, their causes and their texts; no text here ever holds stored data."""

import errno
import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

Cause: TypeAlias = Literal["store-full", "store-locked", "store-readonly", "store-corrupt", "store-failed"]

_FULL: Final = "the disk is full; make room on it"
_LOCKED: Final = "another process holds the database locked; end that process, or wait for it"
_READONLY: Final = "it can't be written to; its file system and its folder's owner must allow that"
_DENIED: Final = "it may not be opened; file and folder must exist and belong to this user"

# By SQLite's primary result code, and by the system's error number: the cause, and the advice.
_OF_SQLITE: Final[Mapping[int, tuple[Cause, str]]] = {
    sqlite3.SQLITE_FULL: ("store-full", _FULL),
    sqlite3.SQLITE_BUSY: ("store-locked", _LOCKED),
    sqlite3.SQLITE_LOCKED: ("store-locked", _LOCKED),
    sqlite3.SQLITE_READONLY: ("store-readonly", _READONLY),
    sqlite3.SQLITE_CORRUPT: ("store-corrupt", "the file is damaged; restore a backup"),
    sqlite3.SQLITE_NOTADB: ("store-corrupt", "the file is no SQLite database; check the path"),
    sqlite3.SQLITE_CANTOPEN: ("store-failed", _DENIED),
    sqlite3.SQLITE_PERM: ("store-failed", _DENIED),
}
_USER: Final = "it refuses this user; check name and password, and the server's pg_hba.conf"
# By PostgreSQL's SQLSTATE (PostgreSQL, Appendix A).
_OF_POSTGRESQL: Final[Mapping[str, tuple[Cause, str]]] = {
    "53100": ("store-full", _FULL),
    "53300": ("store-failed", "it takes no more connections; raise its limit, or lower MICHIQ_DATABASE_POOL"),
    "25006": ("store-readonly", "this server takes no writes; name the primary, or all servers"),
    "55P03": ("store-locked", "another session holds a lock on it; end that session, or wait for it"),
    "42501": (
        "store-failed",
        "this role lacks a right; use the role that owns the tables (docs/scale.md)",
    ),
    "28P01": ("store-failed", _USER),
    "28000": ("store-failed", _USER),
    "3D000": ("store-failed", "there is no such database; CREATE DATABASE makes one"),
    "XX001": ("store-corrupt", "the server's data is damaged; restore a backup"),
    "XX002": ("store-corrupt", "an index of the server is damaged; REINDEX makes it again"),
}
_NO_TLS: Final = "TLS failed; sslrootcert or MICHIQ_CA_FILE names the authority of its certificate"
_OF_SYSTEM: Final[Mapping[int | None, tuple[Cause, str]]] = {
    errno.ENOSPC: ("store-full", _FULL),
    errno.EDQUOT: ("store-full", "this user's disk quota is full; make room, or raise the quota"),
    errno.EROFS: ("store-readonly", _READONLY),
    errno.EACCES: ("store-readonly", _DENIED),
    errno.EPERM: ("store-readonly", _DENIED),
    errno.ECONNREFUSED: ("store-failed", "nobody answers there; check the address, and start the server"),
}
_PRIMARY: Final = 0xFF  # the other bits of an extended code say where it happened


class StoreError(Exception):
    """An error of the store: the text gives the reason and, for a setting, how to fix it.

    `cause` is a code for the client's operator, the log and /readyz.
    """

    def __init__(self, text: str, cause: Cause = "store-failed") -> None:
        super().__init__(text)
        self.cause: Cause = cause


class BlobError(StoreError):
    """An error of a blob that is missing, cut, or not what was written."""


def cause_of(error: BaseException | None) -> Cause:
    """Returns the cause by the first error code, of SQLite or the system, that the error comes from."""
    return _trouble(error)[0]


def because(said: str, error: BaseException | None) -> StoreError:
    """Makes a StoreError that says what the error comes from, where a code tells it."""
    cause, sentence = _trouble(error)
    return StoreError(f"{said}: {sentence}" if sentence else said, cause)


def _trouble(error: BaseException | None) -> tuple[Cause, str]:
    return next((found for each in chain(error) if (found := _own(each))), ("store-failed", ""))


def _own(error: BaseException) -> tuple[Cause, str] | None:
    if isinstance(error, sqlite3.Error):
        return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)
    if isinstance(error, StoreError):
        return None if error.cause == "store-failed" else (error.cause, str(error))
    if isinstance(state := getattr(error, "sqlstate", None), str):
        return _OF_POSTGRESQL.get(state)
    if isinstance(error, ssl.SSLError):  # its errno is none of the system's
        return "store-failed", _NO_TLS
    return _OF_SYSTEM.get(error.errno) if isinstance(error, OSError) else None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and those that it comes from, also through SQLAlchemy."""
    waiting = [error]
    while waiting:
        if (each := waiting.pop(0)) is not None:
            yield each
            waiting += [getattr(each, "orig", None), each.__cause__]
