"""Tests the differences as an operator sees them: rates, pages, and the lines that would explain them."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.compare import Difference, Leaf
from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from proxy.mapping.moving import Compare
from proxy.mapping.table import Table
from proxy.rollout.evidence.differing import BadCursor, find_differences, suggested_rules
from proxy.rollout.shadow.outcome import is_own_failure
from proxy.store import Store
from proxy.store.rollout.difference_groups import DifferenceGroup
from proxy.store.rollout.evidence import Outcome
from tests.mapping.folders import DEFAULTS
from tests.store.examples import NOW, opened

GROUP: Final = DifferenceGroup(
    "doc", "document.cost", "value", "number", "number", "", 1, (), {}, NOW, NOW, None
)
LEAF: Final = Leaf("string", 3, "c" * 16)


@pytest.fixture
def table() -> Table:
    return load_table(DEFAULTS, SPECS)


def ended(how: str, mapping: str, *paths: str) -> Outcome:
    return Outcome(
        "doc", "hash", how, tuple(Difference(path, "value", LEAF, LEAF) for path in paths), mapping
    )


async def filled(store: Store, table: Table) -> None:
    """Stores 3 comparisons under the mapping in force, 1 of an earlier release, 1 under another mapping."""
    digest = table.routes["doc"].digest
    batch = [ended("match", digest), ended("match", digest), ended("difference", digest, "a")]
    batch += [ended("difference", "", "a"), ended("difference", "f" * 12, "b")]
    batch += [ended("dropped:control-failed", digest)] * 2
    await store.evidence.add(outcomes=batch, at=NOW)


async def test_a_difference_has_its_rate_and_bound_under_its_own_mapping(
    tmp_path: Path, table: Table
) -> None:
    async with opened(tmp_path) as store:
        await filled(store, table)
        found = await find_differences(store, table, route="doc")
    rates = {
        (each.group.mapping, round(each.percent or 0, 1), round(each.at_most_percent, 1))
        for each in found.differences
    }
    assert rates == {("", 100.0, 100.0), (table.routes["doc"].digest, 33.3, 86.5)}


@pytest.mark.parametrize(
    ("mapping", "paths", "comparisons", "failed"),
    [
        ("current", ["a", "a"], 4, 2),
        ("all", ["a", "a", "b"], 5, 2),
        ("f" * 12, ["b"], 1, 0),
        ("0" * 12, [], 0, 0),
    ],
)
async def test_only_the_wanted_mappings_are_read(
    tmp_path: Path, table: Table, mapping: str, paths: list[str], comparisons: int, failed: int
) -> None:
    async with opened(tmp_path) as store:
        await filled(store, table)
        found = await find_differences(store, table, route="doc", mapping=mapping)
    sums = found.routes["doc"]
    assert ([each.group.path for each in found.differences], sums.comparisons) == (paths, comparisons)
    assert sums.control_failed == failed


async def test_the_next_page_begins_where_the_cursor_says(tmp_path: Path, table: Table) -> None:
    async with opened(tmp_path) as store:
        await store.evidence.add(outcomes=[ended("difference", "", "á", "b", "c")], at=NOW)
        first = await find_differences(store, table, limit=2)
        second = await find_differences(store, table, limit=2, after=first.after)
        for wrong in ("x", "W10=", "WzEsMiwzLDQsNSw2LDdd"):
            with pytest.raises(BadCursor):
                await find_differences(store, table, after=wrong)
    assert [len(first.differences), len(second.differences), second.after] == [2, 1, None]
    assert {each.group.path for each in (*first.differences, *second.differences)} == {"á", "b", "c"}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            {
                "ignore": 'ignore = ["a", "document.cost"]',
                "volatile": 'volatile = ["document.cost"]',
                "tolerance": 'tolerance = { "b" = 5, "document.cost" = 1 }',
            },
        ),
        ({"control_type": "string"}, {"ignore", "volatile"}),
        ({"kind": "text", "path": ""}, {"ignore", "volatile"}),
        *(({"kind": kind}, {"ignore"}) for kind in ("missing", "extra", "type", "order", "length")),
        ({"path": "[].Input.documents[].a%2Eb"}, {"ignore", "volatile", "tolerance"}),
        *(({"kind": kind, "path": ""}, set()) for kind in ("status", "content-type")),
        ({"path": "a[][].b"}, set()),
        ({"path": "x" * 300}, set()),
    ],
)
def test_the_lines_of_a_rule_hold_what_the_mapping_says_already(changes: dict[str, Any], lines: Any) -> None:
    compare = Compare(ignore=["a"], tolerance={"b": 5.0})
    found = suggested_rules(compare, replace(GROUP, **changes))
    assert (found if isinstance(lines, dict) else {*found}) == lines
    for rule, line in found.items():
        rules = Compare.model_validate(tomllib.loads(line))
        assert changes.get("path", GROUP.path) in getattr(rules, rule)


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (404, False), (408, True), (429, True), (499, False), (500, True)]
)
def test_an_answer_that_tells_only_of_the_legacy_server_is_its_own_failure(status: int, failed: bool) -> None:
    assert is_own_failure(status) is failed
