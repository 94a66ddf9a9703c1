"""The parts that a span of a chart is read in, and what a picture of it shows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from proxy.modes import Change
from proxy.rollout.evidence.picture import MOST_PARTS, Step, fitting, picture
from proxy.store.rollout.series import SeriesCounts, SeriesKey, minute_of
from tests.store.examples import opened

NOW: Final = datetime(2026, 3, 21, 10, 7, 30, tzinfo=UTC)
MINUTES: Final = timedelta(minutes=1)
DAYS: Final = timedelta(days=1)


@pytest.mark.parametrize(
    ("length", "step", "width"),
    [
        (timedelta(hours=1), 60, 60),
        (timedelta(hours=6), 60, 120),
        (DAYS, 60, 300),
        (2 * DAYS, 60, 600),
        (2 * DAYS + MINUTES, 3600, 3600),
        (7 * DAYS, 3600, 3600),
        (30 * DAYS, 3600, 3 * 3600),
        (90 * DAYS, 3600, 8 * 3600),
        (400 * DAYS, 3600, 48 * 3600),
    ],
    ids=str,
)
def test_a_span_up_to_now_is_read_from_minutes_while_there_are_some_and_in_few_parts(
    length: timedelta, step: int, width: int
) -> None:
    span = fitting(NOW - length, NOW, NOW)
    assert (span.step, span.width) == (step, width)
    assert (span.until - span.since) / timedelta(seconds=width) <= MOST_PARTS + 1
    assert NOW - length - timedelta(seconds=width) < span.since <= NOW - length
    assert span.since.timestamp() % width == 0


@pytest.mark.parametrize(("step", "width"), [(60, 900), (3600, 3600)])
def test_a_step_that_was_asked_for_is_taken(step: Step, width: int) -> None:
    span = fitting(NOW - 3 * DAYS, NOW, NOW, step)
    assert (span.step, span.width) == (step, width)


def test_an_hour_of_last_week_is_read_from_hours() -> None:
    then = NOW - 7 * DAYS
    assert fitting(then - timedelta(hours=1), then, NOW).step == 3600


async def test_a_picture_adds_up_sides_over_modes_and_differences_over_all_and_has_the_changes(
    tmp_path: Path,
) -> None:
    def key(route: str, mode: str, side: str) -> SeriesKey:
        return SeriesKey(route, mode, side, minute_of(NOW - MINUTES))

    answered, compared = SeriesCounts(), SeriesCounts()
    answered.answered(0.1, error=True)
    compared.noted(differing=True)
    compared.noted(differing=False)
    counted = {
        key("doc", "shadow", "legacy"): answered,
        key("doc", "canary", "legacy"): answered,
        key("doc", "shadow", "new"): compared,
        key("query", "new", "new"): answered,
    }
    async with opened(tmp_path) as store:
        await store.evidence.add(series=counted, at=NOW)
        for number, route in enumerate(["doc", "query", "doc"]):
            change = Change(actor="ana", route=route, mode="legacy", reason=f"change {number}")
            await store.overrides.change(change, expected=None, at=NOW - (2 - number) * 30 * MINUTES)
        span = fitting(NOW - 59 * MINUTES, NOW + MINUTES, NOW)
        shown = await picture(store, ["doc", "query"], span, route="doc")
        everything = await picture(store, ["doc", "query"], span, route=None)
    assert [(side, sums.count, sums.errors) for _, side, sums in shown.sides] == [("legacy", 2, 2)]
    assert [(rate.compared, rate.differing, rate.rate) for _, rate in shown.differences] == [(2, 1, 0.5)]
    assert (shown.span.width, shown.differences_width) == (60, 120)
    assert [each.reason for each in shown.changes] == ["change 2"]
    assert [(side, sums.count) for _, side, sums in everything.sides] == [("legacy", 2), ("new", 1)]
    assert [each.reason for each in everything.changes] == ["change 1", "change 2"]
