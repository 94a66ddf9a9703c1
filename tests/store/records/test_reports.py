"""Reports as the webhook's events leave them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from proxy.store import Store
from proxy.store.sql.tables import reports
from proxy.values import Report, ReportEvent
from tests.store.examples import NOW, ago, event, opened
from tests.stores import EngineName

T = TypeVar("T")

LATER = NOW + timedelta(seconds=1)


async def contents(store: Store, *events: ReportEvent) -> list[str]:
    for each in events:
        await store.reports.apply(each, NOW)
    return [report.content for report in await store.reports.of_cases(["case-1"])]


async def test_reports_W03_a_report_of_a_case_that_is_not_recorded_yet_is_kept(store: Store) -> None:
    await store.reports.apply(event(), NOW)
    expected = Report(
        "report-1", "case-1", NOW, "agent-1", "created content", {"diagnosis": ["created"]}, size=0
    )
    assert await store.reports.of_cases(["case-1"]) == [expected]


async def test_reports_W03_a_repeat_changes_nothing(store: Store) -> None:
    assert await store.reports.apply(event(), NOW)
    assert not await store.reports.apply(event(), LATER)


CREATED, UPDATED, DELETED = event("created"), event("updated", at=LATER), event("deleted", at=LATER)


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([CREATED, UPDATED], ["updated content"]),
        ([UPDATED, CREATED], ["updated content"]),
        ([event("created", at=LATER), event("updated")], ["created content"]),
        ([event("updated"), event("created")], ["updated content"]),
        ([event("created"), event("updated")], ["updated content"]),
        ([CREATED, DELETED], []),
        ([DELETED, CREATED], []),
        ([event("deleted", at=ago(days=1)), UPDATED], []),
        ([UPDATED, event("deleted", at=ago(days=1)), UPDATED], []),
    ],
    ids=[
        "a newer one counts",
        "an older one does not overwrite",
        "time goes before kind",
        "updated stays over created of the same time",
        "updated comes over created of the same time",
        "deleted wins",
        "deleted wins when it comes first",
        "deleted wins over newer ones",
        "deleted wins over what comes later",
    ],
)
async def test_reports_W03_the_newest_event_counts_and_deleted_wins(
    store: Store, events: list[ReportEvent], left: list[str]
) -> None:
    assert await contents(store, *events) == left


async def test_reports_W03_an_event_without_content_or_agent_is_kept(store: Store) -> None:
    await store.reports.apply(event(content=None, agent_id=None, structured_data=None), NOW)
    assert await store.reports.of_cases(["case-1"]) == [
        Report("report-1", "case-1", NOW, None, "", None, size=0)
    ]


async def test_reports_D03_the_reports_of_several_cases_are_listed_newest_first(store: Store) -> None:
    for number, case_id in enumerate(["case-1", "case-2", "case-3"]):
        at = NOW + timedelta(seconds=number)
        await store.reports.apply(event(report_id=f"report-{number}", case_id=case_id, at=at), NOW)
    found = await store.reports.of_cases(["case-2", "case-1", *(f"other-{n}" for n in range(1200))])
    assert [report.case_id for report in found] == ["case-2", "case-1"]


async def test_no_cases_have_no_reports(store: Store) -> None:
    assert await store.reports.of_cases([]) == []


X, Y, Z = (event("updated", content=content) for content in "xyz")


@pytest.mark.parametrize(
    ("events", "content"),
    [
        ([X, Y], "y"),
        ([Y, X], "x"),
        ([X, Y, X], "y"),
        ([Y, X, Y, X, Y], "x"),
        ([X, Y, Z, Y, X, Z], "z"),
        ([event("created", content="a"), event("created", content="b")], "b"),
        ([X, Y, event("created", content="a")], "y"),
        ([event("created", content="a"), X, event("created", content="b"), Y], "y"),
        ([event("updated", content="later", at=LATER), X, Y], "later"),
        ([X, Y, event("updated", content="x", at=LATER), Y], "x"),
    ],
    ids=[
        "x y",
        "y x",
        "a repeat of the first",
        "repeats of both",
        "three",
        "two created",
        "created never beats updated",
        "created among updated",
        "a newer one stays",
        "the same text at a newer time",
    ],
)
async def test_reports_W03_of_two_of_one_kind_and_time_the_later_arrival_counts(
    store: Store, events: list[ReportEvent], content: str
) -> None:
    assert await contents(store, *events) == [content]


async def test_reports_W03_of_one_time_deleted_is_final(store: Store) -> None:
    gone = event("deleted")
    assert [await store.reports.apply(each, NOW) for each in (X, gone, Y, X, gone)] == [
        *(True, True, False, False, False)
    ]
    assert await store.reports.of_cases(["case-1"]) == []


async def test_reports_W03_of_a_time_that_never_ends_the_last_64_texts_are_known(store: Store) -> None:
    texts = [event("updated", content=f"{number}") for number in range(80)]
    assert await contents(store, *texts, *texts[-65:]) == ["79"]
    (kept,) = await store.database.read(lambda conn: conn.execute(select(reports.c.earlier)))
    assert len(kept.earlier.split()) == 64


async def left_by(store: Store, *events: ReportEvent) -> list[Report]:
    """Returns the reports that these events leave in a store without any; afterwards removes them."""
    for each in events:
        await store.reports.apply(each, NOW)
    left = await store.reports.of_cases(["case-1"])
    await store.retention.sweep(LATER, content_days=0, audio_days=0)
    return left


def expected(events: list[ReportEvent]) -> list[str]:
    """Returns the text that these leave: of the highest events, the one that first arrived last."""
    ranks = ["report.created", "report.updated", "report.deleted"]
    places = [(each.event == ranks[2], each.at, ranks.index(each.event)) for each in events]
    told = [each for each, place in zip(events, places, strict=True) if place == max(places)]
    newest = list(dict.fromkeys((each.event, each.content) for each in told))[-1]
    return [] if newest[0] == ranks[2] else [newest[1] or ""]


EVENTS = st.builds(
    lambda kind, seconds, content: event(kind, at=NOW + timedelta(seconds=seconds), content=content),
    st.sampled_from(["created", "updated", "updated", "deleted"]),
    st.integers(0, 1),
    st.sampled_from(["x", "y", None]),
)


class OneStore:
    """A store for all examples of a test; each leaves it empty."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self._opening = opened(folder)
        self._runner = runner
        self._store = runner.run(self._opening.__aenter__())

    def run(self, use: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        return self._runner.run(use(self._store))

    def close(self) -> None:
        self._runner.run(self._opening.__aexit__(None, None, None))


@pytest.fixture
def emptied(tmp_path: Path, engine: EngineName) -> Iterator[OneStore]:
    with asyncio.Runner() as runner:
        one = OneStore(tmp_path, runner)
        yield one
        one.close()


ONE_STORE: Any = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@settings(max_examples=60, **ONE_STORE)
@given(events=st.lists(EVENTS, min_size=2, max_size=8))
def test_reports_W03_any_events_in_any_order_leave_the_newest_that_came_last(
    emptied: OneStore, events: list[ReportEvent]
) -> None:
    left = emptied.run(lambda store: left_by(store, *events, *events[:2]))
    assert [report.content for report in left] == expected([*events, *events[:2]])


ORDERS = st.lists(EVENTS, min_size=2, max_size=6, unique_by=lambda each: (each.event, each.at)).flatmap(
    lambda events: st.tuples(st.just(events), st.permutations([*events, *events[:2]]))
)


@settings(max_examples=40, **ONE_STORE)
@given(orders=ORDERS)
def test_reports_W03_any_order_of_events_of_different_times_or_kinds_ends_alike(
    emptied: OneStore, orders: tuple[list[ReportEvent], list[ReportEvent]]
) -> None:
    async def both(store: Store) -> list[list[Report]]:
        return [await left_by(store, *events) for events in orders]

    in_order, out_of_order = emptied.run(both)
    assert in_order == out_of_order
