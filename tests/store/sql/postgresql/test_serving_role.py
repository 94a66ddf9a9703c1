"""Two roles on a real PostgreSQL: one migrates; the other one serves, and can't change the audit."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import pytest

from proxy.modes import Change
from proxy.store import StoreError, open_store
from proxy.store.backends import migrate_store
from proxy.store.options import StoreOptions
from proxy.store.sql.migrate import newest
from proxy.store.sql.postgresql.grants import tables_of_the_store
from proxy.store.sql.schema import Migrated
from tests.postgresql import Postgresql

KEY: Final = "k" * 43 + "="
OWNER: Final = "michiq_owner"
SERVING: Final = 'serving "role"'
ADDED_TO: Final = ("audit", "overrides")


@pytest.fixture
def server(postgresql_server: Postgresql) -> Postgresql:
    return postgresql_server


@pytest.fixture
async def database(server: Postgresql) -> AsyncIterator[str]:
    """Yields an empty database of the owner's; the serving role has no rights in it."""
    async with server.admin() as driver:
        for role in (OWNER, SERVING):
            quoted = role.replace('"', '""')
            if not await driver.fetch("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await driver.execute(f'CREATE ROLE "{quoted}" LOGIN')
        name = await server.new(template="template0")
        await driver.execute(f"ALTER DATABASE {name} OWNER TO {OWNER}")
    yield name
    await server.drop(name)


def options(server: Postgresql, database: str, tmp_path: object, *, user: str = OWNER) -> StoreOptions:
    quoted = user.replace('"', "%22").replace(" ", "%20")
    url = server.url(database, user=quoted)
    return StoreOptions(database_url=url, blobs_url=f"file:{tmp_path}/blobs", pool=2)


def new_id() -> str:
    return secrets.token_hex(16)


async def test_the_serving_role_opens_a_store_that_the_owner_has_migrated(
    server: Postgresql, database: str, tmp_path: object
) -> None:
    owner = options(server, database, tmp_path)
    assert await migrate_store(owner, new_id, SERVING) == Migrated(None, newest())
    assert await migrate_store(owner, new_id, SERVING) == Migrated(newest(), newest())
    serving = replace(options(server, database, tmp_path, user=SERVING), migrate="never")
    async with open_store(serving, [KEY]) as store:
        await store.check()
        await store.audit.add("ana", "tested", "nothing", datetime(2026, 1, 1, tzinfo=UTC))
        assert (await store.overrides.load()).revision == 0


async def test_the_serving_role_has_its_rights_and_no_others(
    server: Postgresql, database: str, tmp_path: object
) -> None:
    owner = options(server, database, tmp_path)
    await migrate_store(owner, new_id)
    async with server.admin(database) as driver:
        quoted = SERVING.replace('"', '""')
        # Left by an operator who meant well.
        await driver.execute(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC, "{quoted}"')
        await driver.execute(f'GRANT UPDATE (actor) ON audit TO "{quoted}"')
        await driver.execute(f'GRANT ALL ON SCHEMA public TO "{quoted}"')
    await migrate_store(owner, new_id, SERVING)
    assert await rights(server, database) == {
        table: {"SELECT", "INSERT"}
        if table in ADDED_TO
        else {"SELECT"}
        if table == "alembic_version"
        else {"SELECT", "INSERT", "UPDATE", "DELETE"}
        for table in tables_of_the_store()
    }


async def rights(server: Postgresql, database: str) -> dict[str, set[str]]:
    query = (
        "SELECT t.tablename, p.name FROM pg_tables t, "
        "unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) p(name) "
        "WHERE t.schemaname = 'public' AND (has_table_privilege($1, quote_ident(t.tablename), p.name) "
        "OR p.name IN ('UPDATE') AND has_any_column_privilege($1, quote_ident(t.tablename), p.name))"
    )
    found: dict[str, set[str]] = {}
    async with server.admin(database) as driver:
        for table, right in await driver.fetch(query, SERVING):
            found.setdefault(table, set()).add(right)
    return found


# What would take something from the audit, from the history of the modes, or from what protects them.
ATTACKS: Final = (
    *(f"{what} {table}" for table in ADDED_TO for what in ("DELETE FROM", "TRUNCATE", "DROP TABLE")),
    "UPDATE audit SET actor = ''",
    "UPDATE overrides SET reason = ''",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_no_change ON audit",
    "CREATE OR REPLACE FUNCTION michiq_only_added_to() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE TABLE public.own (id int)",
    "UPDATE alembic_version SET version_num = ''",
    "SET ROLE michiq_owner",
    "SELECT setval('audit_id_seq', 1)",
)


async def test_the_server_refuses_the_serving_role_all_that_would_change_the_past(
    server: Postgresql, database: str, tmp_path: object
) -> None:
    await migrate_store(options(server, database, tmp_path), new_id, SERVING)
    driver = await asyncpg.connect(host="127.0.0.1", port=server.port, user=SERVING, database=database)
    try:
        assert [each for each in ATTACKS if not await refused(driver, each)] == []
    finally:
        await driver.close()


async def refused(driver: Any, statement: str) -> bool:
    try:
        await driver.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def test_to_encrypt_the_history_of_the_modes_anew_takes_the_owner(
    server: Postgresql, database: str, tmp_path: object
) -> None:
    owner = options(server, database, tmp_path)
    await migrate_store(owner, new_id, SERVING)
    serving = replace(options(server, database, tmp_path, user=SERVING), migrate="never")
    change = Change(actor="ana", route="doc", organization="Clínica Norte", mode="off", reason="test")
    async with open_store(serving, [KEY]) as store:
        await store.overrides.change(change, expected=0, at=datetime(2026, 1, 1, tzinfo=UTC))
    keys = ["n" * 43 + "=", KEY]
    async with open_store(serving, keys, renews=False) as store:
        with pytest.raises(StoreError, match="use the role that owns the tables"):
            await store.rotation.run(lambda _: None)
    async with open_store(owner, keys, renews=False) as store:
        assert (await store.rotation.run(lambda _: None)).left == 0


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("nobody_there", "no such role"),
        (OWNER, "the role that migrates"),
        ("postgres", "superuser"),
        ("r" * 64, "no such"),
    ],
)
async def test_a_role_that_no_rights_can_bind_is_refused_and_nothing_is_made(
    server: Postgresql, database: str, tmp_path: object, role: str, said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        await migrate_store(options(server, database, tmp_path), new_id, role)
    async with server.admin(database) as driver:
        assert await driver.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_without_leave_to_migrate_an_empty_database_stays_empty(
    server: Postgresql, database: str, tmp_path: object
) -> None:
    never = replace(options(server, database, tmp_path), migrate="never")
    with pytest.raises(StoreError, match="no tables yet; run `michiq-proxy migrate` first"):
        async with open_store(never, [KEY]):
            pass
    async with server.admin(database) as driver:
        assert await driver.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_two_that_migrate_at_once_make_one_schema(
    server: Postgresql, database: str, tmp_path: object
) -> None:
    owner = options(server, database, tmp_path)
    done = await asyncio.gather(*(migrate_store(owner, new_id, SERVING) for _ in range(3)))
    assert sorted(done, key=lambda each: each.before or "") == [
        Migrated(None, newest()),
        Migrated(newest(), newest()),
        Migrated(newest(), newest()),
    ]
