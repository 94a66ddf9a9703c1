"""Copies of a store between SQLite with a folder and PostgreSQL with S3: whole, once, and only of a still one."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing import get_context
from random import Random
from typing import Any, Final

import asyncpg
import pytest

from proxy.store import Store, StoreError, StoreOptions, open_store
from proxy.store.blobs.folder import FolderBlobs
from proxy.store.blobs.s3 import S3Blobs
from proxy.store.copies import NotOpened, opened_copy
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.sql.postgresql.database import PostgresqlDatabase
from proxy.store.sql.sqlite import SqliteDatabase
from proxy.store.upkeep.copying import STEPS, Progress
from tests.store.examples import KEY, NOW, fernet_key
from tests.store.filled import expected, fill, found

from .conftest import Kind, Stores, blobs_of, content_of, copy, tamper

UNFINISHED: Final = "a copy into this store is not finished"
both_ways = pytest.mark.parametrize("kind", ["here", "there"])


@asynccontextmanager
async def opened(options: StoreOptions) -> AsyncIterator[Store]:
    async with open_store(options, [KEY]) as store:
        yield store


async def test_a_store_is_the_same_there_and_back_again(stores: Stores, source: StoreOptions) -> None:
    before, there, back = content_of(source), stores.options("there"), stores.options("here", "back")
    copied = await copy(source, there)
    assert content_of(source) == before
    assert (copied.lacking, copied.audit.first_bad) == (1, None), "one row of the filled store has no blob"
    assert copied == await copy(there, back)
    assert content_of(back) == before
    async with opened(there) as store:
        assert await found(store) == expected(store)


@both_ways
async def test_what_is_added_to_a_copy_gets_numbers_that_were_never_given(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    async with opened(source) as store:
        await _add_numbered(store)
    highest = _rows(source, "SELECT (SELECT max(id) FROM deliveries), (SELECT max(id) FROM contract_runs)")
    tamper(source, "DELETE FROM deliveries")  # its numbers are never given again
    await copy(source, stores.options(kind))
    async with opened(stores.options(kind)) as store:
        await _add_numbered(store)
        assert (await store.audit.verify()).first_bad is None
    last = stores.options("here", "last")
    if kind == "there":
        await copy(stores.options(kind), last)
    added = _rows(last if kind == "there" else stores.options(kind), "SELECT max(id) FROM deliveries")
    assert added[0][0] > highest[0][0]


async def _add_numbered(store: Store) -> None:
    delivery = Delivery(b"{}" + os.urandom(8), "signature", "application/json")
    await store.deliveries.receive(delivery, Subject("report-7", "case-1"), None, NOW)
    await store.contract_runs.add([ContractRun(NOW, "host", "doc", 1, 0, 0)])
    await store.audit.add("ana", "tested", "nothing", NOW)


def _rows(options: StoreOptions, query: str) -> list[Any]:
    with sqlite3.connect(options.database_url.removeprefix("sqlite:///")) as connection:
        return connection.execute(query).fetchall()


class Stopped(Exception):
    """An error: the copy is cut short here."""


def stopping(step: int) -> Callable[[Progress], None]:
    """Returns a report that raises when a step has begun."""

    def report(progress: Progress) -> None:
        if progress.step == step:
            raise Stopped

    return report


@both_ways
async def test_nobody_can_serve_a_copy_before_its_end_and_the_next_run_goes_on(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    target = stores.options(kind)
    for step in range(len(STEPS)):
        with pytest.raises(Stopped):
            await copy(source, target, stopping(step))
        with pytest.raises(StoreError, match=UNFINISHED):
            async with opened(target):
                pass
    seen: list[Progress] = []
    await copy(source, target, seen.append)
    assert {each.step for each in seen} == {2, 3}, "all rows and blobs were copied by then"
    async with opened(target) as store:
        assert await found(store) == expected(store)


@both_ways
async def test_a_copy_that_is_killed_at_any_point_ends_the_same(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    before, target = content_of(source), stores.options(kind)
    random = Random(f"copy {kind}")
    for at in random.sample(range(40), 4):
        child = get_context("fork").Process(target=_killed, args=(source, target, at))
        await asyncio.to_thread(child.start)
        await asyncio.to_thread(child.join)
        assert child.exitcode == -signal.SIGKILL
    await copy(source, target)
    if kind == "there":
        target = stores.options("here", "back")
        await copy(stores.options("there"), target)
    assert content_of(target) == before


def _killed(source: StoreOptions, target: StoreOptions, at: int) -> None:
    """Copies, and kills its own process just before or just after a write to the target."""
    count = 0

    def killing(write: Any) -> Any:
        async def written(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            result = await write(*arguments, **more)
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return written

    for owner, name in (
        (SqliteDatabase, "write"),
        (PostgresqlDatabase, "write"),
        (FolderBlobs, "adopt"),
        (S3Blobs, "adopt"),
    ):
        setattr(owner, name, killing(getattr(owner, name)))
    asyncio.run(copy(source, target, lambda progress: None))
    os.kill(os.getpid(), signal.SIGKILL)


@both_ways
@pytest.mark.parametrize(
    ("step", "statement", "said", "heals"),
    [
        (2, "UPDATE cases SET runtime_ms = 741", "cases .* is not the same in the target", False),
        (2, "DELETE FROM conversations", "conversations .* is missing in the target", True),
        (2, "UPDATE audit SET actor = 'eva' WHERE id = 2", "audit .* is not the same", False),
        (
            2,
            "INSERT INTO owner_aliases (alias, owner) VALUES ('more', 'than there was')",
            "the target has 2 rows in owner_aliases, and the source 1",
            False,
        ),
    ],
)
async def test_a_row_that_is_not_the_sources_is_found_in_the_end(
    stores: Stores, source: StoreOptions, kind: Kind, step: int, statement: str, said: str, heals: bool
) -> None:
    target = stores.options(kind)
    with pytest.raises(StoreError, match=said):
        await copy(source, target, _once(1, lambda: tamper(target, statement)))
    with pytest.raises(StoreError, match=UNFINISHED):
        async with opened(target):
            pass
    if heals:
        await copy(source, target)
        return
    with pytest.raises(StoreError, match=said):
        await copy(source, target)


def _once(step: int, work: Callable[[], None]) -> Callable[[Progress], None]:
    """Returns a report that does something at the first progress of a step."""
    done: list[int] = []

    def report(progress: Progress) -> None:
        if progress.step == step and not done:
            done.append(step)
            work()

    return report


async def test_a_blob_that_is_not_the_sources_is_found_in_the_end_and_copied_again(
    stores: Stores, source: StoreOptions
) -> None:
    target = stores.options("here")

    def change() -> None:
        file = blobs_of(target)[0]
        file.write_bytes(bytes(file.stat().st_size))

    with pytest.raises(StoreError, match="is not the same in the target"):
        await copy(source, target, _once(2, change))
    blobs_of(target)[0].unlink()  # as the message says
    with pytest.raises(StoreError, match="is missing in the target"):
        await copy(source, target, _once(2, lambda: blobs_of(target)[1].unlink()))
    await copy(source, target)
    assert content_of(target) == content_of(source)


async def test_a_blob_in_s3_is_compared_byte_by_byte(stores: Stores, source: StoreOptions) -> None:
    target, name = stores.options("there"), blobs_of(source)[0].name
    with pytest.raises(Stopped):
        await copy(source, target, stopping(2))
    async with opened_copy(source, target, [KEY]) as copying:
        size = await copying.target.blobs.stored_size(name) or 0
        await copying.target.blobs.adopt(name, _frames(size))
        with pytest.raises(StoreError, match=f"the blob {name} is not the same"):
            await copying.run(lambda _: None)


async def _frames(size: int) -> AsyncIterator[bytes]:
    frame = 64 * 1024 + 16
    for start in range(0, size, frame):
        yield bytes(min(frame, size - start))


@both_ways
async def test_nobody_writes_to_the_source_meanwhile_and_others_read_it(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    await copy(source, stores.options("there"))
    origin = source if kind == "here" else stores.options("there")
    tried: list[str] = []

    def write() -> None:
        try:
            tamper(origin, _IMPATIENT[kind] + "UPDATE cases SET runtime_ms = 1")
        except (sqlite3.OperationalError, asyncpg.LockNotAvailableError):
            tried.append("refused")

    if kind == "here":
        _rows(origin, "SELECT * FROM cases")

        def write() -> None:
            connection = sqlite3.connect(origin.database_url.removeprefix("sqlite:///"), timeout=0)
            assert connection.execute("SELECT count(*) FROM cases").fetchone() == (1,)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                connection.execute("UPDATE cases SET runtime_ms = 1")
            connection.close()
            tried.append("refused")

    await copy(origin, stores.options("here", "second"), _once(0, write))
    assert tried == ["refused"]


_IMPATIENT: Final = {"here": "", "there": "SET lock_timeout = '10ms'; SELECT * FROM cases; "}


async def test_a_lost_hold_of_the_source_ends_the_copy(stores: Stores, source: StoreOptions) -> None:
    await copy(source, stores.options("there"))
    ends = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ShareLock' AND relation > 0"
    with pytest.raises(StoreError, match="is not held any more"):
        await copy(
            stores.options("there"),
            stores.options("here", "second"),
            _once(0, lambda: tamper(stores.options("there"), ends)),
        )
    with pytest.raises(StoreError, match=UNFINISHED):
        async with opened(stores.options("here", "second")):
            pass


@both_ways
async def test_a_source_or_target_in_use_is_refused(stores: Stores, source: StoreOptions, kind: Kind) -> None:
    async with opened(source):
        with pytest.raises(StoreError, match="another process uses the source"):
            await copy(source, stores.options(kind))
    async with opened_copy(source, stores.options(kind), [KEY]):
        other = stores.options("here", "other")
        async with opened(other):
            await fill_first(other)
        with pytest.raises(StoreError, match="another process (uses the target|copies into this database)"):
            await copy(other, stores.options(kind))


async def fill_first(options: StoreOptions) -> None:
    """Does nothing: opening a store made its first rows."""


@both_ways
async def test_a_target_that_is_not_empty_or_another_stores_copy_is_refused(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    target, other = stores.options(kind), stores.options("here", "other")
    async with opened(other) as store:
        await fill(store)
    with pytest.raises(Stopped):
        await copy(other, target, stopping(0))
    with pytest.raises(StoreError, match="a copy of another store has begun in the target"):
        await copy(source, target)
    await copy(other, target)
    with pytest.raises(StoreError, match="the target is not empty"):
        await copy(source, target)
    async with opened(target) as store:
        assert await found(store) == expected(store)


async def test_a_source_that_can_not_be_copied_is_refused(stores: Stores, source: StoreOptions) -> None:
    target, empty = stores.options("there"), stores.options("here", "empty")
    with pytest.raises(NotOpened, match="--to-database names the database that is to be copied"):
        await copy(source, replace(source, blobs_url=f"file:{stores.folder}/other"))
    with pytest.raises(NotOpened, match="no tables yet"):
        await copy(empty, target)
    with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS: none of the keys opens this database"):
        async with opened_copy(source, target, [fernet_key(9)]) as copying:
            await copying.run(lambda _: None)
    with pytest.raises(Stopped):
        await copy(source, target, stopping(0))
    with pytest.raises(StoreError, match="the source is itself a copy that is not finished"):
        await copy(target, stores.options("here", "third"))
    tamper(source, "UPDATE alembic_version SET version_num = '0010'")
    with pytest.raises(NotOpened, match="of an older release"):
        await copy(source, target)


async def test_a_target_of_a_newer_release_is_refused(stores: Stores, source: StoreOptions) -> None:
    target = stores.options("here")
    with pytest.raises(Stopped):
        await copy(source, target, stopping(0))
    tamper(target, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NotOpened, match="newer release"):
        await copy(source, target)


async def test_a_text_that_postgresql_can_not_store_is_named_by_its_column_and_stops_the_copy(
    stores: Stores, source: StoreOptions
) -> None:
    tamper(source, "UPDATE reports SET agent_id = 'a' || char(0) WHERE id = 'report-1'")
    said = r"a row of reports \(key [0-9a-f]{12}\) has a NUL character in agent_id"
    with pytest.raises(StoreError, match=said):
        await copy(source, stores.options("there"))
    with pytest.raises(StoreError, match=UNFINISHED):
        async with opened(stores.options("there")):
            pass
    await copy(source, stores.options("here"))
    tamper(source, "DELETE FROM reports WHERE instr(agent_id, char(0)) > 0")
    await copy(source, stores.options("there"))
