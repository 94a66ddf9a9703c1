"""The recorder under load: many records are written early, and of equal ones only the first is stored."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from proxy.rollout.recorder import Recorder, recording
from proxy.store import Store
from proxy.store.audit.accesses import Access
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.usage import Visit
from proxy.store.rollout.series import SeriesKey, Span, minute_of
from tests.captured import captured_log
from tests.damage import damage
from tests.rollout.moving import eventually
from tests.store.examples import NOW, OWNER, opened

LOAD: Final = 6_000  # more than the recorder has room for
NEVER: Final = 3600.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store


@pytest.fixture
def recorder(store: Store) -> Recorder:
    return Recorder(store, lambda: NOW, seconds=NEVER)


def visit(number: int) -> Visit:
    return Visit("key", "user", "org", "hash", "agent", "doc", "new", 200 + number % 2, NOW)


async def counted(store: Store) -> int:
    return sum(calls.count for calls in await store.ledger.calls())


async def test_many_visits_are_written_before_their_second_is_over(store: Store, recorder: Recorder) -> None:
    async with recording(recorder):
        for number in range(LOAD // 2):
            recorder.visited(visit(number))
        await eventually(lambda: counted(store), lambda found: found == LOAD // 2)


async def test_of_more_stories_than_the_store_keeps_the_newest_are_there_and_none_counts_as_lost(
    store: Store, recorder: Recorder
) -> None:
    with captured_log() as log:
        for number in range(LOAD):
            recorder.traced(RequestTrace(f"r-{number}", NOW, {"number": number}))
        await recorder.flush()
    kept = [number for number in range(LOAD) if number % 100 == 99 and await store.stories.of(f"r-{number}")]
    assert kept == list(range(LOAD - 2_000 + 99, LOAD, 100))
    assert log.getvalue() == ""


async def test_answers_push_no_failure_out_before_it_is_written(store: Store, recorder: Recorder) -> None:
    recorder.traced(RequestTrace("failed", NOW, {}, status=500))
    for number in range(LOAD):
        recorder.traced(RequestTrace(f"r-{number}", NOW, {}, status=200))
    await recorder.flush()
    assert len(await store.stories.of("failed")) == 1


async def test_an_access_that_was_told_of_takes_no_more_room_and_another_day_is_another_one(
    store: Store, recorder: Recorder
) -> None:
    with captured_log() as log:
        for number in range(LOAD):
            recorder.accessed(Access(OWNER, "c" * 64, "doc", NOW + timedelta(microseconds=number)))
        recorder.accessed(Access(OWNER, "d" * 64, "doc", NOW))
        recorder.accessed(Access(OWNER, "c" * 64, "doc", NOW + timedelta(days=1)))
        await recorder.flush()
    assert [row.subject[0] for row in await store.audit.all()] == ["c", "d", "c"]
    assert log.getvalue() == ""


async def test_what_there_is_no_room_for_is_counted_and_said(store: Store, recorder: Recorder) -> None:
    with captured_log() as log:
        for number in range(LOAD):
            recorder.visited(visit(number))
        await recorder.flush()
    [said] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (said["event"], said["lost"], await counted(store)) == ("evidence_over_the_limit", 1_000, 5_000)


async def test_counts_that_can_not_be_written_are_lost_and_said_and_later_ones_are_written(
    store: Store, recorder: Recorder, tmp_path: Path
) -> None:
    key = SeriesKey("doc", "new", "new", minute_of(NOW))
    await damage(tmp_path, "ALTER TABLE series RENAME TO gone_series")
    with captured_log() as log:
        recorder.answered(key, 0.1, error=False)
        await recorder.write_out()
    assert "evidence_lost" in log.getvalue()
    await damage(tmp_path, "ALTER TABLE gone_series RENAME TO series")
    recorder.answered(key, 0.1, error=True)
    await recorder.flush()
    [point] = await store.series.points(["doc"], Span(NOW - timedelta(hours=1), NOW, 60, 60))
    assert (point.counts.count, point.counts.errors) == (1, 1)


async def test_counts_take_room_by_key_and_not_by_answer(store: Store, recorder: Recorder) -> None:
    with captured_log() as log:
        for number in range(LOAD):
            recorder.answered(SeriesKey("doc", "new", "new", number % 10), 0.1, error=False)
        await recorder.flush()
    assert log.getvalue() == ""
