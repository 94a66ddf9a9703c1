"""Processes: their heartbeats, and who counts as live."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, select, type_coerce, update

from proxy.store import Store
from proxy.store.rollout.processes import Process
from proxy.store.sql.clock import database_time
from proxy.store.sql.tables import Moment, processes
from tests.store.examples import NOW, ago
from tests.stores import EngineName

WITHIN = timedelta(seconds=10)


async def beat(store: Store, number: int, earlier: timedelta = timedelta(), **changes: Any) -> None:
    """Reports a process as it would have been reported earlier."""
    values: dict[str, Any] = {
        "revision": 7,
        "mappings_digest": "digest",
        "rejected": [],
        "started_at": ago(hours=1),
    }
    await store.processes.report(f"id-{number}", f"host:{number}", **{**values, **changes}, at=NOW)
    seen_at = type_coerce(processes.c.seen_at, BigInteger) - earlier // timedelta(microseconds=1)
    change = update(processes).where(processes.c.id == f"id-{number}")
    change = change.values(seen_at=type_coerce(seen_at, Moment))
    await store.database.write(lambda conn: conn.execute(change))


async def clock(store: Store) -> datetime:
    """Returns the time that counts: the test's own, or that of a database that machines share."""

    def work(conn: Connection) -> datetime:
        return conn.execute(select(type_coerce(database_time(conn, NOW), Moment))).scalar_one()

    return await store.database.read(work)


async def names(store: Store, within: timedelta = WITHIN) -> list[str]:
    return [each.name for each in await store.processes.live(NOW, within)]


async def test_a_process_is_listed_as_it_reports_itself(store: Store) -> None:
    before = await clock(store)
    await beat(store, 1, rejected=["query.toml:5: not TOML"], keys=["0a1b2c3d4e5f"])
    (process,) = await store.processes.live(NOW, WITHIN)
    assert before <= process.seen_at <= await clock(store)
    rejected, keys = ("query.toml:5: not TOML",), ("0a1b2c3d4e5f",)
    assert process == Process("id-1", "host:1", ago(hours=1), process.seen_at, 7, "digest", rejected, keys)


async def test_a_later_heartbeat_replaces_the_earlier_one(store: Store) -> None:
    await beat(store, 1, timedelta(seconds=3))
    (earlier,) = await store.processes.live(NOW, WITHIN)
    await beat(store, 1, revision=8, mappings_digest="other")
    (process,) = await store.processes.live(NOW, WITHIN)
    assert (process.revision, process.mappings) == (8, "other")
    assert process.seen_at - earlier.seen_at >= timedelta(seconds=3)


async def test_only_those_heard_of_lately_are_live(store: Store) -> None:
    minute = timedelta(minutes=1)
    await beat(store, 2, minute - timedelta(seconds=30))
    await beat(store, 1, minute - timedelta(seconds=31))
    await beat(store, 3, minute + timedelta(seconds=0.1))
    assert await names(store, minute) == ["host:1", "host:2"]


async def test_one_whose_last_heartbeat_is_just_as_long_ago_is_live(store: Store, engine: EngineName) -> None:
    """Counts on the test's own clock; the other engine's moves on."""
    await beat(store, 1, WITHIN)
    assert await names(store) == (["host:1"] if engine == "sqlite" else [])


async def test_one_that_leaves_is_not_waited_for(store: Store) -> None:
    await beat(store, 1)
    await beat(store, 2)
    await store.processes.leave("id-1")
    await store.processes.leave("nobody")
    assert await names(store) == ["host:2"]


async def test_the_row_of_one_that_was_killed_is_forgotten_a_day_later(store: Store) -> None:
    await beat(store, 1, timedelta(days=2))
    long_ago = timedelta(days=9)
    assert await names(store, long_ago) == ["host:1"]
    await beat(store, 2)
    assert await names(store, long_ago) == ["host:2"]
