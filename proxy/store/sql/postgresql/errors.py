"""Tells by an error of PostgreSQL's driver whether to try again, and whether the connection is lost."""

from collections.abc import Iterator
from typing import Final

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from proxy.store.errors import chain

# All that a call of the driver may raise, by itself or through SQLAlchemy.
DRIVER_ERRORS: Final = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_AGAIN: Final = frozenset({"40001", "40P01"})  # the engine undid the transaction to resolve a conflict
# The server ended the connection, or is no longer the one that takes writes (25006, after a failover).
_GONE: Final = frozenset({"25006", "57P01", "57P02", "57P03", "57P05"})
_UNUSABLE: Final = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_CONNECTION: Final = "08"  # the class of connection exceptions


def may_run_again(error: BaseException) -> bool:
    """Returns whether the same transaction may succeed when it is run once more."""
    return any(code in _AGAIN for code in _codes(error))


def is_lost(error: BaseException) -> bool:
    """Returns whether the connection is of no more use: what was sent last may or may not have been done."""
    if any(code in _GONE or code.startswith(_CONNECTION) for code in _codes(error)):
        return True
    return any(isinstance(each, _UNUSABLE) for each in chain(error))


def _codes(error: BaseException) -> Iterator[str]:
    return (code for each in chain(error) if isinstance(code := getattr(each, "sqlstate", None), str))
