"""The schema that the migrations make."""

import asyncio
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from proxy.store.errors import StoreError, because
from proxy.store.sql import engines
from proxy.store.sql.migrate import OLDEST, migrate, newest
from proxy.store.sql.schema import Migrated
from proxy.store.sql.tables import metadata
from tests.store.older import as_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "michiq.db"


def step_by_step(path: Path) -> None:
    """Makes a new file by all migrations: it is not quite empty, so that it is no new one."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.commit()
    migrate(path)


@pytest.mark.parametrize("make", [migrate, step_by_step])
def test_a_new_file_has_exactly_the_tables_that_the_code_uses(
    path: Path, make: Callable[[Path], None]
) -> None:
    make(path)
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [
            newest()
        ]


def test_a_new_file_has_all_that_the_migrations_make_beside_tables(tmp_path: Path) -> None:
    made, migrated = tmp_path / "made.db", tmp_path / "migrated.db"
    migrate(made)
    step_by_step(migrated)
    assert things(made) == things(migrated)
    assert {name for kind, name, _ in things(made) if kind == "trigger"} == {
        "audit_no_update",
        "audit_no_delete",
    }


def things(path: Path) -> set[tuple[str, str, str | None]]:
    """Returns all objects of a schema, by kind and name; of a trigger also its text."""
    query = "SELECT type, name, CASE type WHEN 'trigger' THEN sql END FROM sqlite_schema"
    with closing(sqlite3.connect(path)) as connection:
        return {row for row in connection.execute(query) if "alembic" not in row[1]}


def test_a_new_file_needs_no_alembic(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)
    migrate(path)


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrate(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


def test_the_newest_revision_is_known_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", "proxy.store.sql:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [newest()]


def test_a_file_of_the_newest_revision_needs_no_alembic(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(path)
    monkeypatch.setitem(sys.modules, "alembic", None)
    migrate(path)


async def test_two_that_start_at_once_make_one_schema(path: Path) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, path) for _ in range(2)))
    migrate(path)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    migrate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_database_of_a_newer_release_is_refused(path: Path) -> None:
    migrate(path)
    with create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("DELETE FROM meta WHERE name = 'oldest_revision'"))
    with pytest.raises(StoreError, match="newer release"):
        migrate(path)


@pytest.mark.parametrize("oldest", ["0001", newest()])
def test_a_database_of_a_newer_release_that_this_one_can_serve_is_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, oldest: str
) -> None:
    by_a_newer_release(path, monkeypatch, oldest)
    before = path.read_bytes()
    assert migrate(path) == migrate(path, may_change=False) == Migrated("9999", "9999")
    assert path.read_bytes() == before


@pytest.mark.parametrize("oldest", ["9998", "9999"])
def test_a_database_that_needs_a_newer_release_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, oldest: str
) -> None:
    by_a_newer_release(path, monkeypatch, oldest)
    for may_change in (True, False):
        with pytest.raises(StoreError, match="newer release"):
            migrate(path, may_change=may_change)


def by_a_newer_release(path: Path, monkeypatch: pytest.MonkeyPatch, oldest: str) -> None:
    """Makes the file as a release would whose newest revision is 9999."""
    with monkeypatch.context() as newer:
        newer.setattr("proxy.store.sql.migrate.newest", lambda: "9999")
        newer.setattr("proxy.store.sql.migrate.OLDEST", oldest)
        assert migrate(path) == Migrated(None, "9999")


def test_a_migration_that_only_its_own_release_can_serve_takes_an_older_note_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_a_newer_release(path, monkeypatch, "0011")
    with closing(sqlite3.connect(path)) as connection:
        as_of(connection, "0010")
    migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (int(newest() > OLDEST),)


def test_a_migration_says_what_it_did(path: Path) -> None:
    assert migrate(path) == Migrated(None, newest())
    assert migrate(path) == Migrated(newest(), newest())


def test_tables_of_others_make_no_database_an_older_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE somebody_elses (id INTEGER)")
        connection.commit()
    with pytest.raises(StoreError, match="no tables yet"):
        migrate(path, may_change=False)
    assert migrate(path) == Migrated(None, newest())


def test_one_that_may_not_migrate_makes_no_file(path: Path) -> None:
    with pytest.raises(StoreError, match="run `michiq-proxy migrate` first"):
        migrate(path, may_change=False)
    assert [*path.parent.iterdir()] == []


def test_one_that_may_not_migrate_changes_no_file(path: Path) -> None:
    migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        as_of(connection, "0010")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="revision 0010; this release needs"):
        migrate(path, may_change=False)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"MICHIQ_DATABASE_URL.* no SQLite database") as caught:
        migrate(path)
    assert (path.read_bytes(), caught.value.cause) == (b"not a database" * 1000, "store-corrupt")


def test_a_damaged_database_is_told_from_a_file_that_is_none(path: Path) -> None:
    migrate(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="the file is damaged; restore a backup"):
        migrate(path)


def test_a_database_that_another_holds_is_told_as_that(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(path)
    monkeypatch.setitem(engines._PRAGMAS, "busy_timeout", ("10", 10))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds the database"):
            migrate(path)


def test_a_folder_that_takes_no_file_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="MICHIQ_DATABASE_URL: No such file"):
        migrate(tmp_path / "nowhere" / "michiq.db")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("SQLITE_FULL", "the disk is full"),
        ("SQLITE_READONLY", "it can't be written to"),
        ("SQLITE_CANTOPEN", "it may not be opened"),
    ],
)
def test_each_trouble_has_a_sentence_of_its_own(code: str, said: str) -> None:
    error = sqlite3.OperationalError(code)
    error.sqlite_errorcode = getattr(sqlite3, code)
    assert said in str(because("MICHIQ_DATABASE_URL: michiq.db can't be used", error))
