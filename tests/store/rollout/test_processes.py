"""Processes: their heartbeats, and who counts as live."""

from datetime import datetime, timedelta
from typing import Any

from proxy.store import Store
from proxy.store.rollout.processes import Process
from tests.store.examples import NOW, ago

WITHIN = timedelta(seconds=10)


async def beat(store: Store, number: int, at: datetime = NOW, **changes: Any) -> None:
    values: dict[str, Any] = {
        "revision": 7,
        "mappings_digest": "digest",
        "rejected": [],
        "started_at": ago(hours=1),
    }
    await store.processes.report(f"id-{number}", f"host:{number}", **{**values, **changes}, at=at)


async def names(store: Store, now: datetime = NOW, within: timedelta = WITHIN) -> list[str]:
    return [each.name for each in await store.processes.live(now, within)]


async def test_a_process_is_listed_as_it_reports_itself(store: Store) -> None:
    await beat(store, 1, rejected=["query.toml:5: not TOML"], keys=["0a1b2c3d4e5f"])
    assert await store.processes.live(NOW, WITHIN) == [
        Process(
            "id-1", "host:1", ago(hours=1), NOW, 7, "digest", ("query.toml:5: not TOML",), ("0a1b2c3d4e5f",)
        )
    ]


async def test_a_later_heartbeat_replaces_the_earlier_one(store: Store) -> None:
    await beat(store, 1, ago(seconds=3))
    await beat(store, 1, revision=8, mappings_digest="other")
    (process,) = await store.processes.live(NOW, WITHIN)
    assert (process.revision, process.mappings, process.seen_at) == (8, "other", NOW)


async def test_only_those_heard_of_lately_are_live(store: Store) -> None:
    await beat(store, 2, ago(seconds=10))
    await beat(store, 1, ago(seconds=9))
    await beat(store, 3, ago(seconds=10.1))
    assert await names(store) == ["host:1", "host:2"]


async def test_one_that_leaves_is_not_waited_for(store: Store) -> None:
    await beat(store, 1)
    await beat(store, 2)
    await store.processes.leave("id-1")
    await store.processes.leave("nobody")
    assert await names(store) == ["host:2"]


async def test_the_row_of_one_that_was_killed_is_forgotten_a_day_later(store: Store) -> None:
    await beat(store, 1, ago(days=2))
    long_ago = timedelta(days=9)
    assert await names(store, within=long_ago) == ["host:1"]
    await beat(store, 2)
    assert await names(store, within=long_ago) == ["host:2"]
