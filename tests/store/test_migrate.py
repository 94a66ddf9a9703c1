"""The schema that the migrations make."""

import asyncio
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from proxy.store.errors import StoreError
from proxy.store.migrate import migrate
from proxy.store.tables import metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "michiq.db"


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(path: Path) -> None:
    migrate(path)
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrate(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


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
    with pytest.raises(StoreError, match="newer release"):
        migrate(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="MICHIQ_DATABASE_URL"):
        migrate(path)
    assert path.read_bytes() == b"not a database" * 1000
