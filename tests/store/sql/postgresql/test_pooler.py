"""The store behind a real PgBouncer in transaction mode (MICHIQ_DATABASE_POOLER=transaction)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.store import Store, StoreOptions, open_store
from proxy.store.audit.usage import Visit
from proxy.store.records.deliveries import Delivery, Subject
from tests.pgbouncer import pgbouncer
from tests.postgresql import Postgresql
from tests.store.examples import KEY, NOW, OWNER, add_chunk, case, cases_of, record, session


@pytest.fixture(scope="module")
def pooler(postgresql_server: Postgresql) -> Iterator[int]:
    with pgbouncer(postgresql_server) as port:
        yield port


@pytest.fixture
def options(postgresql_server: Postgresql, name: str, pooler: int, tmp_path: Path) -> StoreOptions:
    url = postgresql_server.url(name, port=pooler)
    return StoreOptions(database_url=url, blobs_url=f"file:{tmp_path}/blobs", pooler="transaction")


@pytest.fixture
async def two(options: StoreOptions) -> AsyncIterator[tuple[Store, Store]]:
    async with open_store(options, [KEY]) as one, open_store(options, [KEY]) as other:
        yield one, other


async def flow(store: Store, number: int) -> None:
    """Does what a client's requests do."""
    who, name = f"{number:064}", f"case-{number}"
    await store.sessions.put(f"token-{number}", session(owner=who))
    await record(store, case(name, owner=who))
    await store.homes.claim(who, name, "new", NOW)
    await add_chunk(store, f"audio {number}".encode(), owner=who)
    async with locks_of(store).hold("conversation", name):
        await store.conversations.put(name, who, f"conversation-{number}")
    visit = Visit("k", who, "Clínica", "o", "okhttp", "doc", "new", 200, NOW)
    await store.evidence.add(visits=[visit], at=NOW)
    delivery = Delivery(f"body {number}".encode(), "signature", "application/json")
    await store.deliveries.receive(delivery, Subject(f"report-{number}", name), None, NOW)
    assert await store.sessions.get(f"token-{number}") == session(owner=who)
    assert [each.id for each in await cases_of(store, who)] == [name]


def locks_of(store: Store) -> Any:
    assert store.backend.locks is not None
    return store.backend.locks


async def test_many_works_of_two_processes_all_go_through(two: tuple[Store, Store]) -> None:
    await asyncio.gather(*(flow(two[number % 2], number) for number in range(40)))
    verdict = await two[0].audit.verify()
    assert (verdict.first_bad, await two[1].deliveries.waiting()) == (None, 40)


async def test_a_lock_goes_from_one_process_to_the_other(two: tuple[Store, Store]) -> None:
    inside = most = 0

    async def hold(store: Store) -> None:
        nonlocal inside, most
        async with locks_of(store).hold("key"):
            inside += 1
            most = max(most, inside)
            await store.conversations.get("case-1", OWNER)
            inside -= 1

    await asyncio.gather(*(hold(store) for store in two * 3))
    assert most == 1


async def test_a_new_database_gets_its_schema_through_the_pooler(
    postgresql_server: Postgresql, options: StoreOptions, pooler: int
) -> None:
    empty = await postgresql_server.new(template="template0")
    url = postgresql_server.url(empty, port=pooler)
    try:
        async with open_store(replace(options, database_url=url), [KEY]) as store:
            await flow(store, 1)
    finally:
        await postgresql_server.drop(empty)
