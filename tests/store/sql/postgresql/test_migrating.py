"""The schema of a real PostgreSQL: made once, like the tables, with an audit that is only added to."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from proxy.postgresql_url import parse_postgresql_url
from proxy.store import StoreError, StoreOptions, open_store
from proxy.store.sql.migrate import newest
from proxy.store.sql.postgresql.connections import server_at
from proxy.store.sql.postgresql.migrating import connected, migrate
from proxy.store.sql.postgresql.tables import cluster_metadata
from proxy.store.sql.schema import Migrated
from proxy.store.sql.tables import metadata
from tests.postgresql import Postgresql, postgresql
from tests.store.examples import KEY


@pytest.fixture
async def empty(postgresql_server: Postgresql) -> AsyncIterator[str]:
    """Yields the URL of a database without tables."""
    name = await postgresql_server.new(template="template0")
    yield postgresql_server.url(name)
    await postgresql_server.drop(name)


async def migrated(url: str) -> Migrated:
    async with connected(server_at(parse_postgresql_url(url)).engine()) as conn:
        return await migrate(conn)


async def test_of_two_processes_at_once_one_makes_the_schema(empty: str) -> None:
    made = await asyncio.gather(*(migrated(empty) for _ in range(2)))
    assert sorted(made, key=lambda each: each.before or "") == [
        Migrated(None, newest()),
        Migrated(newest(), newest()),
    ]


async def test_the_schema_is_that_of_the_tables(empty: str) -> None:
    await migrated(empty)
    both = MetaData(naming_convention=metadata.naming_convention)
    for table in (*metadata.sorted_tables, *cluster_metadata.sorted_tables):
        table.to_metadata(both)

    def work(conn: Connection) -> list[Any]:
        compared = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(conn, opts=compared)
        return [*compare_metadata(context, both)]

    async with connected(server_at(parse_postgresql_url(empty)).engine()) as conn:
        assert await conn.run_sync(work) == []


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'eva'", "DELETE FROM audit", "TRUNCATE audit"]
)
async def test_the_audit_is_only_added_to_even_by_the_superuser(admin: Any, statement: str) -> None:
    await admin.execute("INSERT INTO audit (at, actor, action, subject) VALUES (1, 'ana', 'looked', '*')")
    with pytest.raises(Exception, match="only added to"):
        await admin.execute(statement)
    assert await admin.fetchval("SELECT count(*) FROM audit") == 1


@pytest.mark.parametrize("setting", ["synchronous_commit = off", "synchronous_commit = local"])
async def test_a_database_that_may_lose_a_commit_is_refused(
    postgresql_server: Postgresql, name: str, admin: Any, tmp_path: Path, setting: str
) -> None:
    await admin.execute(f"ALTER DATABASE {name} SET {setting}")
    await refused(postgresql_server.url(name), tmp_path, setting)


@pytest.fixture(scope="module")
def careless() -> Iterator[Postgresql]:
    with postgresql(fsync="off", full_page_writes="on") as server:
        yield server


async def test_a_server_that_syncs_nothing_is_refused(careless: Postgresql, tmp_path: Path) -> None:
    await refused(careless.url(), tmp_path, "fsync = off")
    async with careless.admin() as driver:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert await driver.fetchval(tables) == 0


async def refused(url: str, folder: Path, said: str) -> None:
    options = StoreOptions(database_url=url, blobs_url=f"file:{folder}/blobs")
    with pytest.raises(StoreError, match=f"{said}, and would lose data"):
        async with open_store(options, [KEY]):
            pass
