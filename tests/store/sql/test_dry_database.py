"""Writes of a dry run: they have results and errors, and leave nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from proxy.store.errors import StoreError
from proxy.store.sql.changes import note_change
from proxy.store.sql.database import Database, Work
from proxy.store.sql.dry_database import DryDatabase
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.tables import changes, meta
from tests.store.sql.opening import opened_database
from tests.stores import ENGINES, EngineName


@pytest.fixture
def forgotten() -> list[str]:
    """The subjects that the database has said to forget."""
    return []


@pytest.fixture
async def database(tmp_path: Path, forgotten: list[str], engine: EngineName) -> AsyncIterator[Database]:
    async with opened_database(tmp_path, engine, forgotten.extend) as database:
        yield database


@pytest.fixture
def dry(database: Database) -> DryDatabase:
    return DryDatabase(database)


def stored(conn: Connection) -> set[str]:
    return set(conn.execute(select(meta.c.name)).scalars()) - {"oldest_revision"}


def adding(name: str) -> Work[set[str]]:
    def work(conn: Connection) -> set[str]:
        conn.execute(insert(meta).values(name=name, value=b""))
        return stored(conn)

    return work


async def test_a_dry_write_sees_what_it_wrote_and_nothing_is_there_afterwards(
    database: Database, dry: DryDatabase
) -> None:
    await database.write(adding("real"))
    assert await dry.write(adding("dry")) == {"real", "dry"}
    assert await database.read(stored) == {"real"}
    assert await database.write(stored) == {"real"}


async def test_a_dry_write_sees_the_earlier_ones_of_its_run_and_no_other_run_does(
    database: Database, dry: DryDatabase
) -> None:
    await dry.write(adding("one"))
    await dry.write(adding("two"))
    assert await dry.write(stored) == {"one", "two"}
    assert await DryDatabase(database).write(stored) == set()


async def test_a_dry_read_is_one_of_what_is_really_stored(database: Database, dry: DryDatabase) -> None:
    await database.write(adding("real"))
    await dry.write(adding("dry"))
    found = PointRead(select(meta.c.name).where(meta.c.name != "oldest_revision"))
    assert await dry.read(stored) == await dry.lookup(stored) == {"real"}
    assert (await dry.find(found)).name == "real"


async def test_what_a_dry_write_raises_comes_back_and_the_next_ones_do_not_see_it(dry: DryDatabase) -> None:
    def half(conn: Connection) -> None:
        adding("half")(conn)
        raise KeyError

    await dry.write(adding("one"))
    with pytest.raises(KeyError):
        await dry.write(half)
    with pytest.raises(StoreError, match=r"IntegrityError|UniqueViolationError"):
        await dry.write(adding("one"))
    assert await dry.write(stored) == {"one"}


async def test_a_dry_write_ends_no_value_in_memory_and_takes_no_revision(
    database: Database, dry: DryDatabase, forgotten: list[str], engine: EngineName
) -> None:
    results = await asyncio.gather(
        database.write(lambda conn: note_change(conn, "before")),
        dry.write(lambda conn: note_change(conn, "dry")),
        database.write(lambda conn: note_change(conn, "after")),
    )
    if engine == "sqlite":  # the other one runs them in no order
        assert [*results] == [1, 2, 2]
        assert forgotten == ["before", "after"]
    assert {results[0], results[2]} == {1, 2}
    assert {*forgotten} == {"before", "after"}
    assert await database.read(lambda conn: [*conn.execute(select(changes.c.subject)).scalars()]) == forgotten


async def test_real_writes_go_on_beside_dry_ones_and_share_one_commit(
    statements: list[str], database: Database, dry: DryDatabase, engine: EngineName
) -> None:
    other = DryDatabase(database)
    del statements[:]
    await asyncio.gather(
        *(database.write(adding(f"real-{number}")) for number in range(20)),
        dry.write(adding("dry")),
        other.write(adding("dry")),
        *(database.write(adding(f"late-{number}")) for number in range(20)),
    )
    assert statements.count("COMMIT") == (1 if engine == "sqlite" else 42)
    assert len(await database.read(stored)) == 40
    assert not any(name.startswith("dry") for name in await database.read(stored))


async def test_between_two_dry_writes_the_writer_is_free(
    database: Database, dry: DryDatabase, tmp_path: Path
) -> None:
    await dry.write(adding("dry"))
    ENGINES.tamper(tmp_path, "INSERT INTO meta (name, value) VALUES ('another', '')")
    await database.write(adding("real"))
    assert await dry.write(stored) == {"another", "dry", "real"}


async def test_a_dry_write_that_fails_does_not_take_real_ones_with_it(
    database: Database, dry: DryDatabase
) -> None:
    def like_a_full_disk(conn: Connection) -> None:
        conn.execute(text("ROLLBACK"))

    results: Sequence[object] = await asyncio.gather(
        database.write(adding("before")),
        dry.write(like_a_full_disk),
        database.write(adding("after")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [set, StoreError, set]
    assert await dry.write(adding("dry")) == {"before", "after", "dry"}
    assert await database.read(stored) == {"before", "after"}


async def test_dry_writes_that_are_made_at_once_see_each_other_in_turn(dry: DryDatabase) -> None:
    seen = await asyncio.gather(*(dry.write(adding(str(number))) for number in range(5)))
    assert [len(each) for each in seen] == [1, 2, 3, 4, 5]


async def test_a_dry_write_whose_caller_has_left_is_not_run_again(dry: DryDatabase) -> None:
    left = asyncio.create_task(dry.write(adding("left")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait({left})
    assert await dry.write(stored) == set()


async def test_a_dry_run_does_not_write_the_file_anew(dry: DryDatabase) -> None:
    with pytest.raises(StoreError, match="does not write"):
        await dry.scrub()
