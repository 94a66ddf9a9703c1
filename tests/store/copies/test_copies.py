"""Copies of a store between SQLite with a folder and PostgreSQL with S3: whole, and only of a still one."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
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
both_kinds = pytest.mark.parametrize("kind", ["here", "there"])


def opened(options: StoreOptions) -> AbstractAsyncContextManager[Store]:
    return open_store(options, [KEY])


async def refuses_to_open(options: StoreOptions) -> None:
    with pytest.raises(StoreError, match=UNFINISHED):
        async with opened(options):
            pass


async def test_a_store_is_the_same_there_and_back_again(stores: Stores, large_source: StoreOptions) -> None:
    before, there, back = content_of(large_source), stores.options("there"), stores.options("here", "back")
    copied = await copy(large_source, there)
    assert content_of(large_source) == before
    assert (copied.lacking, copied.audit.first_bad) == (1, None), "one row of the filled store has no blob"
    assert copied == await copy(there, back)
    assert content_of(back) == before
    async with opened(there) as store:
        assert await found(store) == expected(store)


@both_kinds
async def test_what_is_added_to_a_copy_gets_numbers_that_were_never_given(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    target = stores.options(kind)
    async with opened(source) as store:
        await _add_numbered(store)
    numbers = "SELECT (SELECT max(id) FROM deliveries), (SELECT max(id) FROM contract_runs)"
    (given,) = tamper(source, numbers)
    tamper(source, "DELETE FROM deliveries")  # its numbers are never given again
    await copy(source, target)
    async with opened(target) as store:
        await _add_numbered(store)
        assert (await store.audit.verify()).first_bad is None
    assert tamper(target, numbers) == [tuple(number + 1 for number in given)]


async def _add_numbered(store: Store) -> None:
    delivery = Delivery(os.urandom(8), "signature", "application/json")
    await store.deliveries.receive(delivery, Subject("report-7", "case-1"), None, NOW)
    await store.contract_runs.add([ContractRun(NOW, "host", "doc", 1, 0, 0)])
    await store.audit.add("ana", "tested", "nothing", NOW)


class Stopped(Exception):
    """An error: the copy is cut short here."""


def stopping(step: int) -> Callable[[Progress], None]:
    """Returns a report that raises when a step has begun."""

    def report(progress: Progress) -> None:
        if progress.step == step:
            raise Stopped

    return report


def once(step: int, work: Callable[[], object]) -> Callable[[Progress], None]:
    """Returns a report that does something at the first progress of a step."""
    done: list[int] = []

    def report(progress: Progress) -> None:
        if progress.step == step and not done:
            done.append(step)
            work()

    return report


@pytest.mark.parametrize(("kind", "steps"), [("here", range(len(STEPS))), ("there", [1])])
async def test_nobody_can_serve_a_copy_before_its_end_and_the_next_run_goes_on(
    stores: Stores, source: StoreOptions, kind: Kind, steps: list[int]
) -> None:
    target = stores.options(kind)
    for step in steps:
        with pytest.raises(Stopped):
            await copy(source, target, stopping(step))
        await refuses_to_open(target)
    seen: list[Progress] = []
    await copy(source, target, seen.append)
    assert 0 not in {each.step for each in seen}, "all rows were copied by then"
    async with opened(target) as store:
        assert await found(store) == expected(store)


@both_kinds
async def test_a_copy_that_is_killed_at_any_point_ends_the_same(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    before, target, ends = content_of(source), stores.options(kind), []
    for at in Random(f"copy {kind}").sample(range(4, 12), 5):
        child = get_context("fork").Process(target=_killed, args=(source, target, at))
        await asyncio.to_thread(child.start)
        await asyncio.to_thread(child.join)
        ends.append(child.exitcode)
    assert ends == [-signal.SIGKILL] * 5
    await copy(source, target)
    if kind == "there":
        target = stores.options("here", "back")
        await copy(stores.options("there"), target)
    assert content_of(target) == before


def _killed(source: StoreOptions, target: StoreOptions, at: int) -> None:
    """Copies, and kills its own process just before or just after a write to the target."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def killing(write: Any) -> Any:
        async def written(*arguments: Any, **more: Any) -> Any:
            step()
            result = await write(*arguments, **more)
            step()
            return result

        return written

    for owner in (SqliteDatabase, PostgresqlDatabase):
        owner.write = killing(owner.write)  # type: ignore[method-assign]
    for shelf in (FolderBlobs, S3Blobs):
        shelf.adopt = killing(shelf.adopt)  # type: ignore[method-assign]
    asyncio.run(copy(source, target))


@pytest.mark.parametrize(
    ("kind", "statement", "said", "heals"),
    [
        ("here", "UPDATE cases SET runtime_ms = 741", "cases .* is not the same in the target", False),
        ("here", "DELETE FROM conversations", "conversations .* is missing in the target", True),
        ("here", "UPDATE audit SET actor = 'eva' WHERE id = 2", "audit .* is not the same", False),
        (
            "there",
            "INSERT INTO owner_aliases (alias, owner) VALUES ('more', 'than there was')",
            "the target has 1 rows in owner_aliases, and the source 0",
            False,
        ),
    ],
)
async def test_a_row_that_is_not_the_sources_is_found_in_the_end(
    stores: Stores, source: StoreOptions, kind: Kind, statement: str, said: str, heals: bool
) -> None:
    target = stores.options(kind)
    with pytest.raises(StoreError, match=said):
        await copy(source, target, once(1, lambda: tamper(target, statement)))
    await refuses_to_open(target)
    if heals:
        await copy(source, target)


async def test_a_blob_that_is_not_the_sources_is_found_in_the_end_and_copied_again(
    stores: Stores, source: StoreOptions
) -> None:
    target = stores.options("here")

    def change() -> None:
        file = blobs_of(target)[0]
        file.write_bytes(bytes(file.stat().st_size))

    with pytest.raises(StoreError, match="is not the same in the target"):
        await copy(source, target, once(2, change))
    blobs_of(target)[0].unlink()  # as the message says
    with pytest.raises(StoreError, match="is missing in the target"):
        await copy(source, target, once(2, lambda: blobs_of(target)[1].unlink()))
    await copy(source, target)
    assert content_of(target) == content_of(source)


async def test_a_blob_in_s3_is_compared_byte_by_byte(stores: Stores, source: StoreOptions) -> None:
    name = blobs_of(source)[0].name
    with pytest.raises(Stopped):
        await copy(source, stores.options("there"), stopping(2))
    async with opened_copy(source, stores.options("there"), [KEY]) as copying:
        size = await copying.target.blobs.stored_size(name) or 0
        await copying.target.blobs.adopt(name, _zeros(size))
        with pytest.raises(StoreError, match=f"the blob {name} is not the same"):
            await copying.run(lambda _: None)


async def _zeros(size: int) -> AsyncIterator[bytes]:
    frame = 64 * 1024 + 16
    for start in range(0, size, frame):
        yield bytes(min(frame, size - start))


@both_kinds
async def test_nobody_writes_to_the_source_meanwhile_and_others_read_it(
    stores: Stores, source: StoreOptions, kind: Kind
) -> None:
    origin = source
    if kind == "there":
        await copy(source, stores.options("there"))
        origin = stores.options("there")
    seen: list[Any] = []

    def use() -> None:
        with pytest.raises((sqlite3.OperationalError, asyncpg.LockNotAvailableError)):
            tamper(origin, "UPDATE cases SET runtime_ms = 1")
        seen.append(_read(origin))

    await copy(origin, stores.options("here", "second"), once(0, use))
    assert seen == [1]


def _read(options: StoreOptions) -> Any:
    if options.postgresql is not None:
        return tamper(options, "SELECT count(*) FROM cases")[0][0]
    connection = sqlite3.connect(options.database_url.removeprefix("sqlite:///"), timeout=0)
    try:
        return connection.execute("SELECT count(*) FROM cases").fetchone()[0]
    finally:
        connection.close()


async def test_a_lost_hold_of_the_source_ends_the_copy(stores: Stores, source: StoreOptions) -> None:
    there, second = stores.options("there"), stores.options("here", "second")
    await copy(source, there)
    ends = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ShareLock' AND relation IS NOT NULL"
    with pytest.raises(StoreError, match="is not held any more"):
        await copy(there, second, once(0, lambda: tamper(there, ends)))
    await refuses_to_open(second)


@both_kinds
async def test_a_source_or_target_in_use_is_refused(stores: Stores, source: StoreOptions, kind: Kind) -> None:
    other = stores.options("here", "other")
    async with opened(source):
        with pytest.raises(StoreError, match="another process uses the source"):
            await copy(source, stores.options(kind))
    async with opened(other):
        pass
    said = {"here": "another process uses the target", "there": "another process copies into this database"}
    async with opened_copy(source, stores.options(kind), [KEY]):
        with pytest.raises(StoreError, match=said[kind]):
            await copy(other, stores.options(kind))


async def test_a_target_that_is_not_empty_or_another_stores_copy_is_refused(
    stores: Stores, source: StoreOptions
) -> None:
    target, other = stores.options("there"), stores.options("here", "other")
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


async def test_what_can_not_be_copied_is_refused(stores: Stores, source: StoreOptions) -> None:
    target, empty = stores.options("here"), stores.options("here", "empty")
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
    tamper(target, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NotOpened, match="--to-database: the database was made by a newer release"):
        await copy(source, target)
    tamper(source, "UPDATE alembic_version SET version_num = '0010'")
    with pytest.raises(NotOpened, match="of an older release"):
        await copy(source, stores.options("here", "third"))


async def test_a_text_that_postgresql_can_not_store_is_named_by_its_column_and_stops_the_copy(
    stores: Stores, source: StoreOptions
) -> None:
    tamper(source, "UPDATE reports SET agent_id = 'a' || char(0) WHERE id = 'report-1'")
    said = r"a row of reports \(key [0-9a-f]{12}\) has a NUL character in agent_id"
    with pytest.raises(StoreError, match=said):
        await copy(source, stores.options("there"))
    await refuses_to_open(stores.options("there"))
    await copy(source, stores.options("here"))
    tamper(source, "DELETE FROM reports WHERE instr(agent_id, char(0)) > 0")
    await copy(source, stores.options("there"))
