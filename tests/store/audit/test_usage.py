"""Tests the ledger of clients and their calls."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.store import Store
from proxy.store.audit.usage import Usage, Visit
from tests.store.examples import NOW, ago, opened
from tests.stores import ENGINES

pytestmark = pytest.mark.usefixtures("engine")


def visit(**changes: Any) -> Visit:
    values: dict[str, Any] = {
        "key": "a" * 64,
        "user": "b" * 64,
        "organization": "Clínica Norte",
        "organization_hash": "c" * 64,
        "agent": "okhttp/4.9",
        "route": "doc",
        "mode": "new",
        "status": 200,
        "at": NOW,
        "side": "new",
    }
    return Visit(**{**values, **changes})


async def add(store: Store, *visits: Visit) -> None:
    await store.evidence.add(visits=visits, at=NOW)


async def counts(store: Store, **which: Any) -> list[tuple[Any, ...]]:
    rows = await store.ledger.calls(**which)
    return [((NOW.date() - row.day).days, row.route, row.mode, row.status, row.count) for row in rows]


async def test_calls_add_up_by_day_route_mode_and_status(store: Store) -> None:
    for _ in range(2):
        await add(
            store,
            visit(),
            visit(),
            visit(status=404),
            visit(mode="legacy"),
            visit(route="query"),
            visit(at=ago(days=1)),
        )
    assert await counts(store) == [
        (1, "doc", "new", 200, 2),
        (0, "doc", "legacy", 200, 2),
        (0, "doc", "new", 200, 4),
        (0, "doc", "new", 404, 2),
        (0, "query", "new", 200, 2),
    ]


async def test_calls_are_counted_by_the_side_that_answered(store: Store) -> None:
    sides = ["legacy", "new", "new", ""]
    await add(store, *(visit(mode="canary", side=side) for side in sides))
    rows = await store.ledger.calls()
    assert [(row.side, row.count) for row in rows] == [("", 1), ("legacy", 1), ("new", 2)]


async def test_calls_are_asked_for_from_a_day_on_and_by_route(store: Store) -> None:
    await add(store, visit(), visit(route="query"), visit(at=ago(days=1)), visit(at=ago(days=2)))
    assert await counts(store, since=ago(days=1).date(), route="doc") == [
        (1, "doc", "new", 200, 1),
        (0, "doc", "new", 200, 1),
    ]


async def test_a_day_is_one_of_utc(store: Store) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    await add(store, visit(at=midnight), visit(at=midnight - timedelta(microseconds=1)))
    assert [row[0] for row in await counts(store)] == [1, 0]


async def test_a_client_is_told_by_key_user_organization_and_agent(store: Store) -> None:
    others = [{"key": "x"}, {"user": "x"}, {"organization_hash": "x"}, {"agent": "curl/8"}]
    await add(store, visit(), *(visit(**other) for other in others), visit())
    assert sorted(row.count for row in await store.ledger.calls()) == [1, 1, 1, 1, 2]


async def test_a_client_has_its_names_and_when_it_was_seen_first_and_last(store: Store) -> None:
    await add(store, visit(at=ago(hours=2)), visit(at=ago(hours=3)))
    await add(store, visit(at=NOW))
    await add(store, visit(at=ago(hours=1)))  # another process wrote later what came earlier
    (calls,) = await store.ledger.calls()
    client = calls.client
    assert (client.key, client.user, client.organization_hash) == ("a" * 64, "b" * 64, "c" * 64)
    assert (client.organization, client.agent) == ("Clínica Norte", "okhttp/4.9")
    assert (client.first_seen, client.last_seen, calls.count) == (ago(hours=3), NOW, 4)


async def test_names_are_kept_as_at_most_200_printable_signs(store: Store) -> None:
    await add(store, visit(agent="\x1b[31m " + "a" * 300 + "\udcff", organization="\r\n\u202eNorte\x00 "))
    await add(store, visit(agent="[31m " + "a" * 195, organization="Norte"))
    (calls,) = await store.ledger.calls()  # cut alike, they are one client
    assert calls.client.agent == "[31m " + "a" * 195
    assert calls.client.organization == "Norte"


async def test_two_processes_that_see_a_new_client_at_once_make_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        await asyncio.gather(*(add(each, visit()) for each in (one, two) * 5))
        assert [row.count for row in await one.ledger.calls()] == [10]


async def test_clients_beyond_the_most_that_are_kept_are_counted_as_one_without_a_name(store: Store) -> None:
    small = Usage(store.database, store.sealer, most_clients=2)
    full = replace(store.evidence, ledger=small)
    await full.add(visits=[visit(agent="first")], at=NOW)
    await full.add(visits=[visit(agent=agent) for agent in ("second", "third", "fourth", "first")], at=NOW)
    await full.add(visits=[visit(agent="fifth"), visit(agent="second")], at=NOW)
    rows = await store.ledger.calls()
    assert {row.client.agent: row.count for row in rows} == {"first": 2, "second": 2, "(others)": 3}
    assert [row.client.key for row in rows if row.client.agent == "(others)"] == [""]


async def test_old_days_go_and_with_the_last_of_them_their_client(store: Store) -> None:
    await add(store, visit(agent="gone", at=ago(days=401)), visit(at=ago(days=401)), visit(at=ago(days=399)))
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    rows = await store.ledger.calls()
    assert [(row.client.agent, row.count) for row in rows] == [("okhttp/4.9", 1)]
    await add(store, visit(agent="gone"))
    assert {row.client.first_seen for row in await store.ledger.calls()} == {ago(days=401), NOW}


@pytest.mark.usefixtures("unused_files")
async def test_store_G10_who_called_is_not_on_disk_in_the_clear(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await add(store, visit(organization="canary-organization", agent="canary-agent/1.0"))
        (calls,) = await store.ledger.calls()
        raw = await ENGINES.bytes_of(tmp_path)
    assert "canary" in calls.client.agent
    assert "canary" not in repr(calls) + repr(visit(organization="canary", agent="canary"))
    assert b"c" * 64 in raw  # what is not private shows that the write-ahead log is among the files
    assert b"canary-" not in raw
