"""The outcomes of canaries, counted over all processes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Connection, func, select, type_coerce, update

from proxy.store import Store
from proxy.store.rollout.canary_counts import CanaryCount, CanaryWindow
from proxy.store.sql.tables import canary_counts
from tests.store.examples import opened

MINUTES = timedelta(minutes=5)
WINDOW = CanaryWindow("doc", "*", "error", 3, MINUTES)
NOW = datetime.now(UTC)  # replicas count by the database's clock


async def add(store: Store, seen: int, bad: int, window: CanaryWindow = WINDOW) -> None:
    await store.evidence.add(canaries={window: CanaryCount(seen, bad)}, at=NOW)


async def counted(store: Store, window: CanaryWindow = WINDOW) -> tuple[int, int]:
    return await store.evidence.canary(window, NOW)


async def pass_time(store: Store, time: timedelta) -> None:
    """Moves all that was counted so far into the past."""
    earlier = type_coerce(canary_counts.c.at, BigInteger) - time // timedelta(microseconds=1)
    await store.database.write(lambda conn: conn.execute(update(canary_counts).values(at=earlier)))


async def rows(store: Store) -> int:
    def work(conn: Connection) -> int:
        number: int = conn.execute(select(func.count()).select_from(canary_counts)).scalar_one()
        return number

    return await store.database.read(work)


async def test_the_counts_of_all_processes_are_one_sum(store: Store, tmp_path: Path) -> None:
    assert await counted(store) == (0, 0)
    async with opened(tmp_path) as other:
        for each in (store, other, store, other):
            await add(each, 10, 3)
        assert await counted(store) == await counted(other) == (40, 12)


@pytest.mark.parametrize(
    "other", [{"route": "query"}, {"scope": "a" * 64}, {"kind": "difference"}, {"since": 4}], ids=str
)
async def test_others_and_those_before_a_change_do_not_count(
    store: Store, other: dict[str, str | int]
) -> None:
    await add(store, 10, 3)
    assert await counted(store, replace(WINDOW, **other)) == (0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [timedelta(seconds=20), MINUTES, timedelta(days=1)], ids=str)
async def test_what_is_older_than_the_window_never_counts_and_the_newer_part_does(
    store: Store, length: timedelta
) -> None:
    window = replace(WINDOW, length=length)
    await add(store, 10, 3, window)
    await pass_time(store, length * 0.5)
    await add(store, 1, 1, window)
    assert await counted(store, window) == (11, 4)
    await pass_time(store, length * 0.5 + timedelta(seconds=1))
    assert await counted(store, window) == (1, 1)


async def test_a_window_has_few_rows_and_they_go_after_a_week(store: Store) -> None:
    for _ in range(5):
        await add(store, 1, 1)
    assert await rows(store) <= 2
    await pass_time(store, timedelta(days=8))
    await store.retention.sweep(NOW, 30, 30)
    assert await rows(store) == 0


async def test_without_a_canary_nothing_is_counted(store: Store) -> None:
    await store.evidence.add(at=NOW)
    assert await rows(store) == 0
