"""The series: the counts of all processes by minute and by hour, read in parts, and removed in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from proxy.store import Store
from proxy.store.rollout.series import HOUR, MINUTE, SeriesCounts, SeriesKey, Span, minute_of
from tests.store.examples import opened
from tests.stores import ENGINES, EngineName

AT: Final = datetime(2026, 3, 21, 10, 59, 59, 999_999, tzinfo=UTC)
HOUR_OF_AT: Final = datetime(2026, 3, 21, 10, tzinfo=UTC)


def counts(*seconds: float, errors: int = 0, differing: int = 0, compared: int = 0) -> SeriesCounts:
    made = SeriesCounts()
    for number, each in enumerate(seconds):
        made.answered(each, error=number < errors)
    for number in range(compared):
        made.noted(differing=number < differing)
    return made


def key(at: datetime = AT, route: str = "doc", mode: str = "canary", side: str = "new") -> SeriesKey:
    return SeriesKey(route, mode, side, minute_of(at))


async def add(store: Store, *counted: tuple[SeriesKey, SeriesCounts]) -> None:
    await store.evidence.add(series=dict(counted), at=AT)


def span(step: int, width: int | None = None, around: datetime = HOUR_OF_AT, hours: int = 24) -> Span:
    return Span(around - timedelta(hours=hours), around + timedelta(hours=hours), step, width or step)


async def read(store: Store, wanted: Span, *routes: str) -> list[tuple[datetime, str, str, int]]:
    points = await store.series.points(routes or ("doc",), wanted)
    return [(each.at, each.mode, each.side, each.counts.count) for each in points]


async def test_the_counts_of_two_processes_are_one_sum_in_both_steps(store: Store, tmp_path: Path) -> None:
    one = counts(0.004, 0.01, 0.011, 60, errors=1, compared=3, differing=2)
    async with opened(tmp_path) as other:
        for each in (store, other, store):
            await add(each, (key(), one))
        for step in (MINUTE, HOUR):
            [point] = await other.series.points(["doc"], span(step))
            assert point.counts == SeriesCounts(12, 3, 9, 6, [6, 3, *[0] * 9, 3])


async def test_minutes_of_one_hour_are_one_row_of_the_hour(store: Store) -> None:
    minutes = [AT - timedelta(minutes=number) for number in (0, 1, 59, 60)]
    await add(store, *((key(at), counts(0.1)) for at in minutes))
    floors = [at.replace(second=0, microsecond=0) for at in reversed(minutes)]
    assert await read(store, span(MINUTE)) == [(at, "canary", "new", 1) for at in floors]
    before = HOUR_OF_AT - timedelta(hours=1)
    assert await read(store, span(HOUR)) == [(before, "canary", "new", 1), (HOUR_OF_AT, "canary", "new", 3)]


async def test_a_span_is_read_in_parts_and_its_end_is_not_in_it(store: Store) -> None:
    start = HOUR_OF_AT
    ats = [start + timedelta(minutes=number) for number in (-1, 0, 4, 5, 9, 10)]
    await add(store, *((key(at), counts(0.1)) for at in ats))
    wanted = Span(start, start + timedelta(minutes=10), MINUTE, 300)
    assert [(at, count) for at, _, _, count in await read(store, wanted)] == [
        (start, 2),
        (start + timedelta(minutes=5), 2),
    ]


async def test_modes_and_sides_are_apart_and_the_routes_that_are_named_are_added_up(store: Store) -> None:
    doc, query = (
        [key(route=route, mode=mode, side=side) for mode, side in [("", ""), ("shadow", "legacy")]]
        for route in ("doc", "query")
    )
    await add(store, *((each, counts(0.1)) for each in [*doc, *query]), (key(route="gateway"), counts(0.1)))
    minute = AT.replace(second=0, microsecond=0)
    assert await read(store, span(MINUTE), "doc", "query") == [
        (minute, "", "", 2),
        (minute, "shadow", "legacy", 2),
    ]


async def test_each_route_has_its_points_by_side_in_one_query(store: Store) -> None:
    await add(
        store,
        (key(mode="shadow", side="legacy"), counts(0.1)),
        (key(mode="canary", side="legacy"), counts(0.1)),
        (key(route="query"), counts(0.1)),
    )
    points = await store.series.of_each(["doc", "query", "gateway"], span(MINUTE))
    assert [(each.route, each.side, each.counts.count) for each in points] == [
        ("doc", "legacy", 2),
        ("query", "new", 1),
    ]


@pytest.mark.parametrize(("step", "life"), [(MINUTE, timedelta(hours=48)), (HOUR, timedelta(days=400))])
async def test_a_row_is_there_for_its_life_and_then_removed(store: Store, step: int, life: timedelta) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    ats = [now - life, now - life - timedelta(seconds=step)]
    await add(store, *((key(at), counts(0.1)) for at in ats))
    await store.retention.sweep(now, 30, 30)
    assert [at for at, *_ in await read(store, span(step, around=now - life))] == [now - life]


async def test_the_primary_key_finds_the_rows_of_each_route_and_its_time(
    statements: list[str], store: Store, tmp_path: Path, engine: EngineName
) -> None:
    if engine == "postgresql":
        pytest.skip("its plan depends on how many rows there are")
    await read(store, span(MINUTE), "doc", "query")
    [said] = [each for each in statements if "FROM series" in each]
    plan = [row[-1] for row in ENGINES.rows(tmp_path, f"EXPLAIN QUERY PLAN {said}")]
    assert plan[0].endswith("(step=? AND route=? AND at>? AND at<?)"), plan
