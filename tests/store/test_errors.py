"""The texts of the store's errors: each names what to look at, and none what is stored."""

import asyncio
import errno
import ssl

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from proxy.store.errors import Cause, because


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        (asyncpg.InvalidPasswordError("CANARY"), "store-failed", "refuses this user"),
        (asyncpg.InvalidCatalogNameError("CANARY"), "store-failed", "CREATE DATABASE"),
        (asyncpg.InsufficientPrivilegeError("CANARY"), "store-failed", "the role that owns the tables"),
        (asyncpg.TooManyConnectionsError("CANARY"), "store-failed", "MICHIQ_DATABASE_POOL"),
        (asyncpg.DiskFullError("CANARY"), "store-full", "make room"),
        (asyncpg.ReadOnlySQLTransactionError("CANARY"), "store-readonly", "name the primary"),
        (asyncpg.LockNotAvailableError("CANARY"), "store-locked", "another session"),
        (asyncpg.DataCorruptedError("CANARY"), "store-corrupt", "restore a backup"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "CANARY"), "store-failed", "nobody answers"),
        (ssl.SSLCertVerificationError(1, "CANARY"), "store-failed", "TLS failed"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
def test_an_error_of_postgresql_has_a_sentence_that_says_what_to_do(
    error: Exception, cause: Cause, said: str
) -> None:
    for met in (error, DBAPIError("CANARY", {}, error)):
        found = because("MICHIQ_DATABASE_URL: it can't be used", met)
        assert (found.cause, said in str(found), "CANARY" in str(found)) == (cause, True, False), found


@pytest.mark.parametrize(
    "error", [asyncpg.DeadlockDetectedError("CANARY"), asyncio.QueueEmpty("CANARY"), None]
)
def test_any_other_error_gets_no_sentence_of_its_own(error: Exception | None) -> None:
    assert str(because("it failed", error)) == "it failed"
