"""Tests the evidence for moving a route: counted, durable, and without a value of anybody."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from proxy.compare import Difference, Leaf
from proxy.store import Store, StoreError
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.difference_groups import DifferenceGroup, Wanted, grouped_differences
from proxy.store.rollout.evidence import ComparisonCount, Outcome, SeenAnswer
from tests.store.audit.test_usage import visit
from tests.store.conftest import writes_in
from tests.store.examples import NOW, ago, opened
from tests.stores import EngineName

pytestmark = pytest.mark.usefixtures("engine")

TODAY, YESTERDAY = NOW.date(), ago(days=1).date()
NONE = Leaf("none", None, None)


def outcome(how: str = "match", *differences: Difference, **changes: str) -> Outcome:
    values = {"route": "doc", "organization": "hash-1", **changes}
    mapping = values.get("mapping", "")
    return Outcome(values["route"], values["organization"], how, differences, mapping)


def difference(path: str = "document.username", **changes: Any) -> Difference:
    values = {
        "kind": "value",
        "control": Leaf("string", 18, "c" * 16),
        "candidate": Leaf("string", 3, "d" * 16),
    }
    return Difference(path, **{**values, **changes})


async def differences(store: Store, route: str | None = None) -> list[DifferenceGroup]:
    every = ("doc", "query") if route is None else (route,)
    return await grouped_differences(store.database, Wanted(every, limit=100))


def seen(*leaves: tuple[str, str], **changes: Any) -> SeenAnswer:
    values = {"route": "doc", "side": "legacy", "status": 200, "content_type": "application/json"}
    return SeenAnswer(**{**values, **changes}, leaves=frozenset(leaves))


async def test_outcomes_add_up_by_day_route_organization_and_kind(store: Store) -> None:
    await store.evidence.add(outcomes=[outcome()], at=ago(days=1))
    batch = [outcome(), outcome(mapping="m"), outcome("dropped:full"), outcome(organization="")]
    batch.append(outcome(route="query"))
    for _ in range(2):
        await store.evidence.add(outcomes=batch, at=NOW)
    assert await store.evidence.comparisons("doc", YESTERDAY) == [
        ComparisonCount(YESTERDAY, "hash-1", "match", 1),
        ComparisonCount(TODAY, "", "match", 2),
        ComparisonCount(TODAY, "hash-1", "dropped:full", 2),
        ComparisonCount(TODAY, "hash-1", "match", 4),
    ]
    assert [row.day for row in await store.evidence.comparisons("query", TODAY)] == [TODAY]
    assert len(await store.evidence.comparisons("doc", TODAY)) == 3


async def test_two_processes_that_count_at_once_lose_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        batches = [each.evidence.add(outcomes=[outcome()], at=NOW) for each in (one, two) * 10]
        await asyncio.gather(*batches)
        assert [row.count for row in await one.evidence.comparisons("doc", TODAY)] == [20]


async def test_a_difference_counts_once_a_comparison_and_keeps_the_last_ones_measures(store: Store) -> None:
    other = difference(candidate=Leaf("string", 5, "e" * 16))
    twice, last = outcome("difference", difference(), other), outcome("difference", difference())
    await store.evidence.add(outcomes=[twice], at=ago(days=1))
    await store.evidence.add(outcomes=[twice, last], at=NOW)
    (kept,) = await differences(store, "doc")
    assert (kept.path, kept.kind, kept.control_type, kept.candidate_type, kept.count) == (
        "document.username",
        "value",
        "string",
        "string",
        3,
    )
    assert kept.sample == {
        "control": {"length": 18, "hash": "c" * 16},
        "candidate": {"length": 3, "hash": "d" * 16},
    }
    assert (kept.first_seen, kept.last_seen) == (ago(days=1), NOW)


async def test_differences_are_told_apart_by_kind_and_types_and_listed_by_how_often_they_are(
    store: Store,
) -> None:
    rare = difference(kind="missing", candidate=NONE)
    batch = [outcome("difference", difference()), outcome("difference", difference(), rare)]
    await store.evidence.add(outcomes=[*batch, outcome("difference", rare, route="query")], at=NOW)
    assert [(row.route, row.kind, row.count) for row in await differences(store)] == [
        ("doc", "value", 2),
        ("doc", "missing", 1),
        ("query", "missing", 1),
    ]
    assert [row.candidate_type for row in await differences(store, "query")] == ["none"]


async def test_an_endless_path_is_cut(store: Store) -> None:
    long = "a." * 5000
    compared, learned = [outcome("difference", difference(long))], [seen((long, "string"))]
    for _ in range(2):
        await store.evidence.add(outcomes=compared, seen=learned, at=NOW)
    (differing,), (leaf,) = await differences(store), await store.evidence.learned()
    assert [(len(row.path), row.count) for row in (differing, leaf)] == [(300, 2), (300, 2)]


async def test_learned_structure_counts_the_answers_that_had_each_leaf(store: Store) -> None:
    await store.evidence.add(seen=[seen(("document", "object"), ("document.id", "string"))], at=ago(days=1))
    await store.evidence.add(
        seen=[seen(("document", "object"), ("document.id", "null")), seen(("", "text"), status=404)], at=NOW
    )
    rows = await store.evidence.learned("doc")
    assert [(row.status, row.path, row.type, row.count) for row in rows] == [
        (200, "document", "object", 2),
        (200, "document.id", "null", 1),
        (200, "document.id", "string", 1),
        (404, "", "text", 1),
    ]
    assert (rows[0].first_seen, rows[0].last_seen) == (ago(days=1), NOW)
    assert await store.evidence.learned("query") == []


async def test_learned_structure_is_told_apart_by_side(store: Store) -> None:
    await store.evidence.add(seen=[seen(("a", "null")), seen(("a", "null"), side="new")], at=NOW)
    assert [row.side for row in await store.evidence.learned()] == ["legacy", "new"]


async def test_a_batch_of_everything_is_one_write(
    statements: list[str], store: Store, engine: EngineName
) -> None:
    before = writes_in(statements, engine)
    await store.evidence.add(
        outcomes=[outcome("difference", difference())] * 50,
        seen=[seen(("a", "null"))] * 50,
        visits=[visit()] * 50,
        stories=[RequestTrace("request-1", NOW, {})] * 50,
        at=NOW,
    )
    assert writes_in(statements, engine) == before + 1
    assert [row.count for row in await differences(store)] == [50]
    assert [calls.count for calls in await store.ledger.calls()] == [50]
    assert len(await store.stories.of("request-1")) == 50


async def test_a_batch_with_something_impossible_counts_nothing(store: Store) -> None:
    impossible = RequestTrace("request-1", NOW, {"not": b"JSON"})  # type: ignore[dict-item]
    with pytest.raises(StoreError):
        await store.evidence.add(outcomes=[outcome()], visits=[visit()], stories=[impossible], at=NOW)
    assert await store.evidence.comparisons("doc", TODAY) == []
    assert await store.ledger.calls() == []


async def test_nothing_to_add_is_no_error(store: Store) -> None:
    await store.evidence.add(at=NOW)
    assert await store.evidence.learned() == []


async def test_a_days_budget_is_taken_up_to_its_cap_by_all_processes_together(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        takes = [each.evidence.take_budget("2026-03-21", "new_case", 7) for each in (one, two) * 10]
        assert sum(await asyncio.gather(*takes)) == 7
        assert not await one.evidence.take_budget("2026-03-21", "new_case", 7)
        assert await one.evidence.take_budget("2026-03-22", "new_case", 7)
        assert await one.evidence.take_budget("2026-03-21", "query", 7)


async def test_a_cap_that_is_raised_gives_the_rest_and_a_cap_of_0_nothing(store: Store) -> None:
    assert not await store.evidence.take_budget("2026-03-21", "new_case", 0)
    taken = [await store.evidence.take_budget("2026-03-21", "new_case", cap) for cap in (1, 1, 2, 2, 1)]
    assert taken == [True, False, True, False, False]


def run(route: str = "doc", **changes: Any) -> ContractRun:
    values = {"at": NOW, "target": "https://a.example", "passed": 9, "failed": 1, "not_applicable": 2}
    return ContractRun(route=route, **{**values, **changes})


async def test_of_the_contract_runs_the_newest_of_each_route_and_target_counts(store: Store) -> None:
    await store.contract_runs.add([run(at=ago(days=1)), run("query", at=ago(days=1))])
    await store.contract_runs.add([run(failed=0), run(target="https://b.example")])
    await store.contract_runs.add([])
    assert await store.contract_runs.newest() == [
        run(target="https://b.example"),
        run(failed=0),
        run("query", at=ago(days=1)),
    ]


async def test_evidence_stays_for_400_days(store: Store) -> None:
    for days in (401, 399):
        compared, learned = outcome("difference", difference(f"path-{days}")), seen((f"path-{days}", "null"))
        await store.evidence.add(outcomes=[compared], seen=[learned], at=ago(days=days))
        await store.contract_runs.add([run(str(days), at=ago(days=days))])
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert [row.count for row in await store.evidence.comparisons("doc", date.min)] == [1]
    assert [row.path for row in await differences(store)] == ["path-399"]
    assert [row.path for row in await store.evidence.learned()] == ["path-399"]
    assert [each.route for each in await store.contract_runs.newest()] == ["399"]


async def test_a_difference_that_is_still_seen_stays_however_old_it_is(store: Store) -> None:
    for days in (500, 1):
        await store.evidence.add(outcomes=[outcome("difference", difference())], at=ago(days=days))
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert [row.first_seen for row in await differences(store)] == [ago(days=500)]
