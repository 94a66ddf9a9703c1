"""Tests that nothing of what was erased is left in SQLite's files, down to the last byte."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from proxy.store import Store, StoreError
from proxy.store.upkeep.erasure import OfUser
from tests.flows._client import everything
from tests.store.examples import NOW, case, cases_of, opened, record
from tests.store.upkeep.test_erasure import USERS, fill_user, secrets_of


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store


async def test_no_byte_of_any_file_has_what_was_erased_while_another_process_has_them_open(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as proxy, opened(tmp_path) as store:
        await asyncio.gather(*(cases_of(proxy, "nobody") for _ in range(4)))  # its readers are open
        owner = await fill_user(proxy, USERS[0], cases=40)
        gone = await secrets_of(proxy, tmp_path)
        await fill_user(proxy, USERS[1], cases=40)
        written = _all_bytes(tmp_path)
        assert [value for value in gone if value not in written] == []
        await store.erasure.erase(OfUser(owner), "eva", NOW)
        await store.database.scrub()
        left = _all_bytes(tmp_path)
        ids = [f"ana-case-{number}".encode() for number in range(40)]
        assert [value for value in (*gone, *ids, b"ana-legacy", b"token of ana") if value in left] == []
        # The audit's row of the erasure, and its place in the index: nothing else.
        assert left.count(owner.encode()) == 2
        assert len(await cases_of(proxy, proxy.sealer.owner(USERS[1], "Clínica"))) == 40


def _all_bytes(folder: Path) -> bytes:
    """Returns the contents of all files, and their names."""
    names = "\n".join(str(path) for path in folder.rglob("*")).encode()
    return everything(folder) + names


async def test_a_trace_that_an_earlier_removal_left_goes_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await record(store, case("4d1c-trace"))
        with closing(sqlite3.connect(tmp_path / "michiq.db")) as connection:
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("DELETE FROM case_files")
            connection.execute("DELETE FROM journal")
            connection.execute("DELETE FROM cases")
            connection.commit()
        assert b"4d1c-trace" in everything(tmp_path)
        await store.database.scrub()
        assert b"4d1c-trace" not in everything(tmp_path)


async def test_a_removed_row_is_overwritten_whatever_sqlite_was_built_with(sqlite_store: Store) -> None:
    def asked(conn: Connection) -> list[int]:
        return [conn.exec_driver_sql("PRAGMA secure_delete").scalar_one()]

    assert await sqlite_store.database.read(asked) + await sqlite_store.database.write(asked) == [1, 1]


async def test_a_file_that_can_not_be_written_anew_is_told(sqlite_store: Store, tmp_path: Path) -> None:
    (tmp_path / "michiq.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="could not be written anew"):
        await sqlite_store.database.scrub()
