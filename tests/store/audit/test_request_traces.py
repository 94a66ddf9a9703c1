"""Tests the traces of the newest requests: what is stored for how long, and how a request is found."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.store import Store
from proxy.store.audit import request_traces
from proxy.store.audit.request_traces import RequestFilters, RequestTrace
from tests.store.examples import NOW, ago

NORTH, SOUTH = "a" * 64, "b" * 64
ANSWER = RequestTrace("request", NOW, {"route": "doc"}, "doc", NORTH, "new", "", 200, 12)


async def add(store: Store, *traces: RequestTrace) -> None:
    await store.evidence.add(stories=traces, at=NOW)


async def found(store: Store, **filters: Any) -> list[str]:
    rows = await store.stories.search(RequestFilters(**filters), limit=100)
    return [row.request_id for row in rows]


async def test_a_trace_is_found_by_its_request_id(store: Store) -> None:
    told = RequestTrace("request-1", NOW, {"decided": {"side": "legacy"}, "calls": [1, None]})
    await add(store, told, RequestTrace("request-2", NOW, {}), replace(ANSWER, request_id="request-4"))
    assert await store.stories.of("request-1") == [told]
    assert await store.stories.of("request-4") == [replace(ANSWER, request_id="request-4")]
    assert await store.stories.of("request-3") == []


async def test_requests_under_one_id_are_told_in_their_order(store: Store) -> None:
    await add(
        store, RequestTrace("request-1", NOW, "first"), RequestTrace("request-1", ago(hours=1), "second")
    )
    await add(store, RequestTrace("request-1", ago(hours=2), "third"))
    assert [each.story for each in await store.stories.of("request-1")] == ["first", "second", "third"]


async def test_only_the_newest_five_thousand_answers_are_stored(store: Store) -> None:
    await add(store, *(replace(ANSWER, request_id=f"r-{number}") for number in range(5003)))
    await add(store, replace(ANSWER, request_id="last"))
    stored = await store.stories.search(RequestFilters(), limit=6000)
    assert [row.request_id for row in stored] == ["last", *(f"r-{number}" for number in range(5002, 3, -1))]


async def test_neither_answers_nor_refusals_take_room_from_errors(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for failed in (0, 1, 2):
        monkeypatch.setitem(request_traces._DROP, failed, request_traces._dropping(failed, 2))
    for number in range(4):
        for status in (500, 401, 200):
            await add(store, replace(ANSWER, request_id=f"{status}-{number}", status=status))
    assert await found(store) == ["200-3", "401-3", "500-3", "200-2", "401-2", "500-2"]


@pytest.mark.parametrize(
    ("status", "is_failure"),
    [(200, 0), (302, 0), (404, 0), (405, 0), (400, 1), (401, 1), (409, 1), (500, 1), (503, 1)],
)
async def test_an_error_and_a_refusal_are_what_an_operator_is_called_about(
    store: Store, status: int, is_failure: int
) -> None:
    await add(store, replace(ANSWER, status=status))
    assert len(await found(store, failed=True)) == is_failure


async def test_answers_are_stored_for_a_week_and_failures_for_thirty_days(store: Store) -> None:
    for days in (6, 8, 29, 31):
        for status in (200, 400, 500):
            await add(store, replace(ANSWER, request_id=f"{status}-{days}", status=status, at=ago(days=days)))
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert sorted(await found(store)) == ["200-6", "400-29", "400-6", "400-8", "500-29", "500-6", "500-8"]


async def test_traces_are_not_stored_for_longer_than_the_contents(store: Store) -> None:
    await add(store, replace(ANSWER, status=500, at=ago(days=4)), replace(ANSWER, at=ago(days=2)))
    await store.retention.sweep(NOW, content_days=3, audio_days=3)
    assert [row.status for row in await store.stories.search(RequestFilters(), limit=9)] == [200]


CALLS = {
    "r-1": replace(ANSWER, at=ago(hours=3)),
    "r-2": replace(ANSWER, route="query", organization=SOUTH, at=ago(hours=2)),
    "R-3": replace(ANSWER, status=401, side="", cause="expired-token", organization="", at=ago(hours=1)),
    "other": replace(ANSWER, status=502, side="legacy", cause="legacy-timeout"),
    "compared": RequestTrace("compared", NOW, {"shadow": {"outcome": "match"}}),
}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["other", "R-3", "r-2", "r-1"]),
        ({"route": "query"}, ["r-2"]),
        ({"organization": NORTH}, ["other", "r-1"]),
        ({"statuses": (200, 200)}, ["r-2", "r-1"]),
        ({"statuses": (400, 499)}, ["R-3"]),
        ({"statuses": (500, 599)}, ["other"]),
        ({"cause": "expired-token"}, ["R-3"]),
        ({"side": "legacy"}, ["other"]),
        ({"side": ""}, ["R-3"]),
        ({"failed": True}, ["other", "R-3"]),
        ({"since": ago(hours=2)}, ["other", "R-3", "r-2"]),
        ({"until": ago(hours=2)}, ["r-1"]),
        ({"id_prefix": "r-"}, ["r-2", "r-1"]),
        ({"id_prefix": "%"}, []),
        ({"route": "doc", "failed": True, "since": NOW - timedelta(minutes=1)}, ["other"]),
    ],
    ids=str,
)
async def test_a_request_is_found_by_each_filter_and_by_all_together(
    store: Store, filters: dict[str, Any], expected: list[str]
) -> None:
    await add(store, *(replace(each, request_id=name) for name, each in CALLS.items()))
    assert await found(store, **filters) == expected


async def test_a_list_goes_on_where_it_ended_though_new_requests_come(store: Store) -> None:
    await add(store, *(replace(ANSWER, request_id=f"r-{number}") for number in range(5)))
    first = await store.stories.search(RequestFilters(), limit=2)
    await add(store, replace(ANSWER, request_id="new"))
    rest = await store.stories.search(RequestFilters(), limit=9, before=first[-1].id)
    assert [row.request_id for row in (*first, *rest)] == ["r-4", "r-3", "r-2", "r-1", "r-0"]
