"""The store that release 0.1.0 left: everything in it is found, and is brought to this release's form."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from proxy.store import Store, StoreError
from proxy.store.sql.migrate import newest
from proxy.store.upkeep.rotation import Progress, Rotated

from .examples import KEY, NOW, case, fernet_key, opened, record, session
from .filled import expected, found, unpack

NEW = fernet_key(2)
_SEALED = 25  # values in the store of 0.1.0


def quiet(_: Progress) -> None:
    """Ignores the progress."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Returns the folder of a store that 0.1.0 filled."""
    unpack("0.1.0", tmp_path)
    return tmp_path


@contextmanager
def process_of(folder: Path, says: bytes) -> Iterator[None]:
    """Runs a live process whose file has this content; one of 0.1.0 has none."""
    place = folder / "michiq.db.processes"
    place.mkdir(exist_ok=True)
    with (place / ("0f" * 16)).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(says)
        file.flush()
        yield


def revision(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "michiq.db")) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def fernets(folder: Path) -> list[str]:
    """Returns the lines of the dumped store that hold a Fernet token."""
    with closing(sqlite3.connect(folder / "michiq.db")) as connection:
        return [line[:60] for line in connection.iterdump() if b"gAAAA".hex().upper() in line]


async def test_everything_that_0_1_0_stored_is_found(old: Path) -> None:
    async with opened(old) as store:
        assert await found(store) == expected(store)


async def test_everything_is_found_after_a_rotation_and_nothing_of_fernet_is_left(old: Path) -> None:
    async with opened(old) as store:
        assert await store.rotation.left(quiet) == Rotated(0, _SEALED, 0)
        assert await store.rotation.run(quiet) == Rotated(_SEALED, 0, 0)
    assert fernets(old) == []
    async with opened(old) as store:
        assert await store.rotation.left(quiet) == Rotated(0, 0, 0)
        assert await found(store) == expected(store)


async def test_a_store_of_both_forms_comes_under_a_new_key(old: Path) -> None:
    async with opened(old) as store:
        await record(store, case("new"))
        await store.sessions.put("token-1", session(owner="c" * 64))  # in the place of an old one
    async with opened(old, [NEW, KEY]) as store:
        assert await store.rotation.run(quiet) == Rotated(_SEALED + 5, 0, 0)
    async with opened(old, [NEW]) as store:
        assert await store.cases.get("new") == case("new")
        assert await store.cases.get("case-1")


async def moved_back(store: Store, folder: Path, sealed: bytes) -> None:
    """Gives the case what 0.1.0 had sealed for it, and asks for it."""
    with closing(sqlite3.connect(folder / "michiq.db")) as connection:
        connection.execute("UPDATE cases SET content = ?", [sealed])
        connection.commit()
    await store.cases.get("case-1")


async def test_fernet_is_refused_once_a_rotation_has_found_none_and_by_every_process(old: Path) -> None:
    with closing(sqlite3.connect(old / "michiq.db")) as connection:
        (sealed,) = connection.execute("SELECT content FROM cases").fetchone()
    async with opened(old) as serving, opened(old) as other:
        await moved_back(other, old, sealed)
        await serving.keys.refuse_fernet()
        await moved_back(serving, old, sealed)  # nothing was found yet
        await other.rotation.run(quiet)
        await serving.keys.refuse_fernet()
        for store in (serving, other):
            with pytest.raises(StoreError, match="earlier release"):
                await moved_back(store, old, sealed)
    async with opened(old) as store:
        with pytest.raises(StoreError, match="earlier release"):
            await moved_back(store, old, sealed)


async def test_fernet_opens_as_long_as_one_value_of_it_is_left(old: Path) -> None:
    with closing(sqlite3.connect(old / "michiq.db")) as connection:
        (sealed,) = connection.execute("SELECT content FROM cases").fetchone()
    async with opened(old, [NEW, KEY]) as store:
        with closing(sqlite3.connect(old / "michiq.db")) as connection:
            connection.execute("UPDATE clients SET agent = ?", [b"gAAAA: no key opens it"])
            connection.commit()
        assert (await store.rotation.run(quiet)).lost == 1
        await store.keys.refuse_fernet()
        await moved_back(store, old, sealed)


async def test_a_new_store_refuses_fernet_from_its_beginning(tmp_path: Path, old: Path) -> None:
    with closing(sqlite3.connect(old / "michiq.db")) as connection:
        (sealed,) = connection.execute("SELECT content FROM cases").fetchone()
    async with opened(tmp_path / "new") as store:
        await record(store, case())
        with pytest.raises(StoreError, match="earlier release"):
            await moved_back(store, tmp_path / "new", sealed)


@pytest.mark.parametrize("says", [b"", b"sealed values 99\n"])
async def test_nothing_is_touched_while_a_process_of_another_release_lives(old: Path, says: bytes) -> None:
    before = (old / "michiq.db").read_bytes()
    with process_of(old, says), pytest.raises(StoreError, match="End every process of that release"):
        async with opened(old):
            pass
    assert (old / "michiq.db").read_bytes() == before
    async with opened(old) as store:  # it has ended
        assert await store.sessions.get("token-1")


async def test_a_rotation_refuses_nothing_while_a_process_of_another_release_lives(old: Path) -> None:
    async with opened(old) as store:
        with process_of(old, b""):
            assert (await store.rotation.run(quiet)).left == 0
        await store.keys.refuse_fernet()
        with closing(sqlite3.connect(old / "michiq.db")) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM meta")}
    assert "fernet_refused" not in names


async def test_0_1_0_finds_a_revision_that_it_does_not_know(old: Path) -> None:
    assert revision(old) == "0009"
    async with opened(old):
        assert revision(old) == newest()


async def test_the_legacy_token_of_a_user_whose_hash_changes_is_sealed_anew(old: Path) -> None:
    async with opened(old) as store:
        told = expected(store)
        owner = store.sealer.owner("ana@clinic.example", "Clínica")
        (spelt,) = await store.owners.older_hashes(owner)
        await store.rotation.run(quiet)
        await store.owners.gather(owner, [spelt])
        assert await store.homes.legacy_token(owner, NOW) == told["legacy token"]
        assert (await store.rotation.left(quiet)).lost == 0
