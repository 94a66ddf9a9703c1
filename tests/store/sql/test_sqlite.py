"""Reads and grouped writes on a SQLite file."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from proxy.store.errors import StoreError
from proxy.store.sql.database import Work
from proxy.store.sql.sqlite import SqliteDatabase, open_database
from proxy.store.sql.tables import chunks, meta


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with open_database(tmp_path / "michiq.db") as database:
        yield database


def adding(name: str) -> Work[str]:
    def work(conn: Connection) -> str:
        conn.execute(insert(meta).values(name=name, value=b""))
        return name

    return work


async def names(database: SqliteDatabase) -> set[str]:
    def work(conn: Connection) -> set[str]:
        return set(conn.execute(select(meta.c.name)).scalars()) - {"oldest_revision"}

    return await database.read(work)


async def test_a_write_gives_back_its_result_and_is_there_for_the_next_reader(
    database: SqliteDatabase,
) -> None:
    assert await database.write(adding("one")) == "one"
    assert await names(database) == {"one"}


async def test_writes_that_wait_together_share_one_commit(
    statements: list[str], database: SqliteDatabase
) -> None:
    before = statements.count("BEGIN IMMEDIATE")
    await asyncio.gather(*(database.write(adding(str(n))) for n in range(60)))
    assert statements.count("BEGIN IMMEDIATE") == before + 1
    assert len(await names(database)) == 60


async def test_a_group_is_bounded(statements: list[str], database: SqliteDatabase) -> None:
    before = statements.count("BEGIN IMMEDIATE")
    await asyncio.gather(*(database.write(adding(str(n))) for n in range(130)))
    assert statements.count("BEGIN IMMEDIATE") == before + 3


async def test_a_failing_write_fails_alone(database: SqliteDatabase) -> None:
    await database.write(adding("taken"))
    results = await asyncio.gather(
        database.write(adding("one")),
        database.write(adding("taken")),
        database.write(adding("two")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [str, StoreError, str]
    assert await names(database) == {"taken", "one", "two"}


async def test_a_failing_write_leaves_nothing_of_itself(database: SqliteDatabase) -> None:
    def half(conn: Connection) -> None:
        adding("half")(conn)
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(half)
    assert await names(database) == set()


async def test_when_the_commit_fails_only_whose_fault_it_is_is_told(database: SqliteDatabase) -> None:
    def orphan_that_only_the_commit_refuses(conn: Connection) -> None:
        conn.execute(text("PRAGMA defer_foreign_keys = ON"))
        row = {"recording_id": "no recording", "position": 0, "blob": "blob", "blob_key": b"\0", "size": 1}
        conn.execute(insert(chunks).values(**row, sha256="sha"))

    results = await asyncio.gather(
        database.write(adding("one")),
        database.write(orphan_that_only_the_commit_refuses),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [str, StoreError]
    assert await names(database) == {"one"}


async def test_when_sqlite_gives_up_the_transaction_the_others_of_the_group_are_written(
    database: SqliteDatabase,
) -> None:
    def like_a_full_disk(conn: Connection) -> None:
        conn.execute(text("ROLLBACK"))

    results = await asyncio.gather(
        database.write(adding("before")),
        database.write(like_a_full_disk),
        database.write(adding("after")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [str, StoreError, str]
    assert await names(database) == {"before", "after"}


class Slow:
    """A unit of work that goes on when a test says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.started = asyncio.Event()
        self._go_on = threading.Event()

    def go_on(self) -> None:
        self._go_on.set()

    def __call__(self, conn: Connection) -> str:
        self._loop.call_soon_threadsafe(self.started.set)
        assert self._go_on.wait(10)
        return adding("slow")(conn)


async def test_a_cancelled_caller_does_not_disturb_its_group(database: SqliteDatabase) -> None:
    slow = Slow()
    cancelled = asyncio.create_task(database.write(slow))
    beside = asyncio.create_task(database.write(adding("beside")))
    await slow.started.wait()
    waiting = asyncio.create_task(database.write(adding("waiting")))
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    slow.go_on()
    assert [await beside, await waiting] == ["beside", "waiting"]
    assert await names(database) == {"slow", "beside", "waiting"}


async def test_a_write_cancelled_before_its_turn_is_not_made(database: SqliteDatabase) -> None:
    slow = Slow()
    first = asyncio.create_task(database.write(slow))
    await slow.started.wait()
    unwanted = asyncio.create_task(database.write(adding("unwanted")))
    await asyncio.sleep(0)
    unwanted.cancel()
    slow.go_on()
    await first
    await database.write(adding("wanted"))
    assert await names(database) == {"slow", "wanted"}


async def test_a_lookup_does_not_wait_for_the_writer(database: SqliteDatabase) -> None:
    slow = Slow()
    writing = asyncio.create_task(database.write(slow))
    await slow.started.wait()
    written = select(meta.c.name).where(meta.c.name == "slow")
    assert await database.lookup(lambda conn: conn.execute(written).all()) == []
    slow.go_on()
    assert await writing == "slow"


async def test_closing_finishes_the_waiting_writes_and_refuses_new_ones(tmp_path: Path) -> None:
    async with open_database(tmp_path / "michiq.db") as database:
        waiting = [asyncio.create_task(database.write(adding(str(n)))) for n in range(100)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*waiting)) == 100
    with pytest.raises(StoreError, match="closed"):
        await database.write(adding("late"))


async def test_when_the_loop_is_torn_down_no_caller_waits_for_ever(database: SqliteDatabase) -> None:
    slow = Slow()
    running = asyncio.create_task(database.write(slow))
    await slow.started.wait()
    waiting = asyncio.create_task(database.write(adding("waiting")))
    await asyncio.sleep(0)
    (writer,) = (task for task in asyncio.all_tasks() if task.get_name() == "store-writer")
    writer.cancel()
    slow.go_on()
    async with asyncio.timeout(10):
        results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [*results] == ["slow", "waiting"]
    with pytest.raises(StoreError, match="closed"):
        await database.write(adding("late"))


@pytest.mark.parametrize("door", ["read", "lookup"])
async def test_a_reader_cannot_write(database: SqliteDatabase, door: str) -> None:
    with pytest.raises(StoreError, match="OperationalError"):
        await getattr(database, door)(adding("one"))


async def test_an_error_of_the_database_does_not_show_the_values(database: SqliteDatabase) -> None:
    await database.write(adding("canary"))
    with pytest.raises(StoreError, match="IntegrityError") as caught:
        await database.write(adding("canary"))
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30000)],
)
@pytest.mark.parametrize("door", ["read", "write"])
async def test_every_connection_is_set_for_durability(
    database: SqliteDatabase, door: str, pragma: str, value: object
) -> None:
    def work(conn: Connection) -> object:
        return conn.execute(text(f"PRAGMA {pragma}")).scalar_one()

    assert await getattr(database, door)(work) == value


WRITERS_OF_ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from proxy.store.sql.sqlite import open_database
from tests.store.sql.test_sqlite import write_as

async def main():
    async with open_database(Path(sys.argv[1])) as database:
        await asyncio.gather(write_as(database, "c"), write_as(database, "d"))

asyncio.run(main())
"""


async def write_as(database: SqliteDatabase, writer: str) -> None:
    for number in range(150):
        await database.write(adding(f"{writer}{number}"))


async def test_four_writers_in_two_processes_never_meet_a_lock(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    arguments = ["-c", WRITERS_OF_ANOTHER_PROCESS, str(tmp_path / "michiq.db")]
    root = Path(__file__).parents[3]
    other = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=root)
    await asyncio.gather(write_as(database, "a"), write_as(database, "b"))
    assert await other.wait() == 0
    assert len(await names(database)) == 600
