"""Reports as the webhook's events leave them."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.store import Store
from proxy.values import Report, ReportEvent

from .examples import NOW, ago, event, opened

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


async def left_by(store: Store, *events: ReportEvent) -> list[Report]:
    """What these events leave in a store that has seen none before, and will have forgotten them."""
    for each in events:
        await store.reports.apply(each, NOW)
    left = await store.reports.of_cases(["case-1"])
    await store.retention.sweep(LATER, content_days=0, audio_days=0)
    return left


async def test_reports_W03_two_updates_of_one_time_end_alike_in_either_order(store: Store) -> None:
    x, y = event("updated", content="x"), event("updated", content="y")
    assert await left_by(store, x, y) == await left_by(store, y, x)


EVENTS = st.builds(
    lambda kind, seconds, content: event(kind, at=NOW + timedelta(seconds=seconds), content=content),
    st.sampled_from(["created", "updated", "deleted"]),
    st.integers(0, 1),
    st.sampled_from(["x", "y", None]),
)
ORDERS = st.lists(EVENTS, min_size=2, max_size=6).flatmap(
    lambda events: st.tuples(st.just(events), st.permutations([*events, *events[:2]]))
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(orders=ORDERS)
def test_reports_W03_any_order_of_the_same_events_ends_alike(
    orders: tuple[list[ReportEvent], list[ReportEvent]],
) -> None:
    async def both() -> list[list[Report]]:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(Path(folder)) as store:
                return [await left_by(store, *events) for events in orders]

    in_order, out_of_order = asyncio.run(both())
    assert in_order == out_of_order
