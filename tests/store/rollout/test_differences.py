"""Tests the differences over all organizations, under each mapping, and what operators say of them."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from proxy.compare import Difference, Leaf
from proxy.store import Store
from proxy.store.rollout.difference_groups import (
    DifferenceGroup,
    Explanation,
    MappingSum,
    Wanted,
    grouped_differences,
    outcome_sums,
    position,
)
from proxy.store.rollout.evidence import Outcome
from proxy.store.rollout.explanations import BadReason, DifferenceKey, NoSuchDifference
from proxy.store.rollout.switch_counts import OutcomeSum, RouteWindow, SwitchCounts, switch_counts
from tests.store.audit.test_usage import visit
from tests.store.examples import NOW, ago

pytestmark = pytest.mark.usefixtures("engine")

OLD, NEW = "a" * 12, "b" * 12
TODAY, YESTERDAY = NOW.date(), ago(days=1).date()


def differing(*paths: str, **changes: str) -> Outcome:
    """A comparison that differs at these paths; the sample names its organization."""
    values: Mapping[str, str] = {"route": "doc", "organization": "hash-1", "mapping": NEW, **changes}
    hashed = Leaf("string", 3, values["organization"])
    found = tuple(Difference(path, "value", hashed, hashed) for path in paths)
    return Outcome(values["route"], values["organization"], "difference", found, values["mapping"])


def matching(**changes: Any) -> Outcome:
    values = {"route": "doc", "organization": "hash-1", "outcome": "match", "mapping": NEW, **changes}
    return Outcome(**values)


async def groups(store: Store, *routes: str, **wanted: Any) -> list[DifferenceGroup]:
    return await grouped_differences(store.database, Wanted(routes or ["doc"], **{"limit": 100, **wanted}))


async def test_a_difference_is_one_row_over_all_organizations_with_the_newest_sample(store: Store) -> None:
    for organization, days in (("hash-2", 3), ("hash-1", 1), ("", 2)):
        await store.evidence.add(outcomes=[differing("a", organization=organization)], at=ago(days=days))
    [found] = await groups(store)
    assert (found.count, found.organizations) == (3, ("hash-1", "hash-2"))
    assert (found.first_seen, found.last_seen) == (ago(days=3), ago(days=1))
    assert found.sample == {side: {"length": 3, "hash": "hash-1"} for side in ("control", "candidate")}


async def test_each_mapping_counts_alone(store: Store) -> None:
    batch = [differing("a"), *[matching()] * 3, matching(outcome="dropped:timeout"), matching(route="query")]
    await store.evidence.add(outcomes=batch, at=NOW)
    await store.evidence.add(outcomes=[differing("a", mapping=OLD)], at=ago(days=1))
    assert [(each.mapping, each.count) for each in await groups(store)] == [(OLD, 1), (NEW, 1)]
    assert [each.mapping for each in await groups(store, mappings=[NEW, ""])] == [NEW]
    assert await groups(store, "query") == []
    assert [each.mapping for each in await groups(store, since=NOW)] == [NEW]


async def test_the_pages_have_each_difference_once_the_most_frequent_first(store: Store) -> None:
    batch = [differing("c"), differing("a", "b", "c"), differing("d", mapping=OLD)]
    await store.evidence.add(outcomes=batch, at=NOW)
    seen: list[str] = []
    after = None
    while page := await groups(store, limit=1, after=after):
        seen += [each.path for each in page]
        after = position(page[-1])
    assert seen == ["c", "a", "b", "d"]


async def test_outcomes_are_summed_by_mapping_with_their_first_day(store: Store) -> None:
    await store.evidence.add(outcomes=[matching(), matching(mapping=OLD)], at=ago(days=1))
    batch = [matching(), matching(mapping=""), matching(outcome="dropped:timeout"), matching(route="query")]
    await store.evidence.add(outcomes=batch, at=NOW)
    found = await outcome_sums(store.database, ["doc", "query"], ["match"])
    assert sorted(found, key=repr) == [
        MappingSum("doc", "", "match", 1, TODAY),
        MappingSum("doc", OLD, "match", 1, YESTERDAY),
        MappingSum("doc", NEW, "match", 2, YESTERDAY),
        MappingSum("query", NEW, "match", 1, TODAY),
    ]


async def test_an_explanation_is_with_the_difference_under_every_mapping_and_in_the_audit(
    store: Store,
) -> None:
    await store.evidence.add(outcomes=[differing("a", "b"), differing("a", mapping=OLD)], at=NOW)
    key = DifferenceKey("doc", "a", "value", "string", "string")
    for actor, reason in (("ana", "first"), ("eva", " only the clock ")):
        await store.explanations.explain_difference(actor, key, reason, NOW)
    told = Explanation("only the clock", "eva", NOW)
    assert {(each.path, each.explanation) for each in await groups(store)} == {("a", told), ("b", None)}
    first, second = await store.audit.all()
    assert (first.actor, second.actor, second.action) == ("ana", "eva", "difference_explained")
    assert json.loads(second.detail)["reason"] == "only the clock"


@pytest.mark.parametrize(
    ("path", "reason", "error"),
    [
        ("a", " ", BadReason),
        ("a", "x\ny", BadReason),
        ("a", "x" * 301, BadReason),
        ("b", "x", NoSuchDifference),
    ],
)
async def test_what_cant_be_explained_leaves_nothing_behind(
    store: Store, path: str, reason: str, error: type[Exception]
) -> None:
    await store.evidence.add(outcomes=[differing("a")], at=NOW)
    key = DifferenceKey("doc", path, "value", "string", "string")
    with pytest.raises(error):
        await store.explanations.explain_difference("ana", key, reason, NOW)
    assert [each.explanation for each in await groups(store)] == [None]
    assert await store.audit.all() == []


async def test_an_explanation_goes_with_the_last_of_its_difference(store: Store) -> None:
    for path, days in (("a", 401), ("b", 1)):
        await store.evidence.add(outcomes=[differing(path)], at=ago(days=days))
        key = DifferenceKey("doc", path, "value", "string", "string")
        await store.explanations.explain_difference("ana", key, "x", ago(days=days))
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    await store.evidence.add(outcomes=[differing("a")], at=NOW)
    assert {each.path: each.explanation is None for each in await groups(store)} == {"a": True, "b": False}


async def test_can_switchs_sums_are_of_each_routes_own_window(store: Store) -> None:
    for days, mapping in ((20, NEW), (10, OLD), (1, NEW), (1, "")):
        await store.evidence.add(outcomes=[matching(mapping=mapping)] * 2, at=ago(days=days))
    await store.evidence.add(outcomes=[matching(route="query")], at=ago(days=10))
    windows = [
        RouteWindow("doc", NEW, [NEW, ""], YESTERDAY),
        RouteWindow("query", OLD, [OLD], ago(days=14).date()),
    ]
    counts = await switch_counts(store.database, windows)
    assert sorted(counts.outcomes, key=repr) == [
        OutcomeSum("doc", "", "match", 2),
        OutcomeSum("doc", NEW, "match", 2),
        OutcomeSum("query", NEW, "match", 1),
    ]
    assert counts.compared == {"doc": {"hash-1"}}
    assert counts.first_days == {"doc": ago(days=20).date()}


async def test_callers_are_the_organizations_whose_calls_succeeded_within_the_window(store: Store) -> None:
    visits = [
        visit(organization_hash="in time", key="1"),
        visit(organization_hash="in time", key="2"),
        visit(organization_hash="refused", status=401),
        visit(organization_hash="long ago", at=ago(days=3)),
        visit(organization_hash="elsewhere", route="query"),
    ]
    await store.evidence.add(visits=visits, at=NOW)
    windows = [RouteWindow("doc", NEW, [NEW], YESTERDAY), RouteWindow("query", NEW, [NEW], date.max)]
    found = await switch_counts(store.database, windows)
    assert found == SwitchCounts([], {}, {"doc": {"in time"}}, {})


async def test_names_are_opened_of_the_organizations_that_are_asked_for(store: Store) -> None:
    visits = [visit(organization_hash=f"hash-{name}", organization=name) for name in ("Norte", "Sur", "")]
    await store.evidence.add(visits=visits, at=NOW)
    assert await store.ledger.names_of(["hash-Sur", "hash-", "", "nobody"]) == {
        "hash-Sur": "Sur",
        "hash-": "",
    }
    assert await store.ledger.names_of([]) == {}
