"""The decision to switch a route: every threshold, with its figures, and the exact bound of a rate."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import comb
from typing import Any, Final

import pytest

from proxy.mapping.moving import Switch
from proxy.rollout.evidence.binomial import upper_bound
from proxy.rollout.evidence.readiness import SwitchEvidence, can_switch
from proxy.store.rollout.contract_runs import ContractRun

NOW: Final = datetime(2025, 5, 20, 12, tzinfo=UTC)
RUN: Final = ContractRun(NOW - timedelta(days=2), "http://proxy", "r", passed=40, failed=0, not_applicable=3)
GOOD: Final = SwitchEvidence(
    comparisons=1204,
    differences=1,
    dropped={"timeout": 4, "queue-full": 30},
    with_traffic=frozenset({"a", "b"}),
    compared=frozenset({"a", "b", "c"}),
    contract_run=RUN,
)
# Label of each reason's sentence, in their order.
LABELS: Final = (
    "Comparisons in the last",
    "Comparisons with differences",
    "Calls that could not be compared",
    "Dry runs",
    "Organizations",
    "Calls that may have worked",
    "The newest run of the contract's checks",
)


def failing(thresholds: Switch | None = None, **changes: Any) -> list[str]:
    """Returns the sentences against a switch, once the evidence is changed like this."""
    verdict = can_switch(replace(GOOD, **changes), thresholds or Switch(), NOW)
    assert verdict.yes is all(reason.ok for reason in verdict.reasons)
    return [reason.sentence for reason in verdict.reasons if not reason.ok]


def test_good_evidence_is_a_yes_with_all_reasons() -> None:
    verdict = can_switch(GOOD, Switch(), NOW)
    assert verdict.yes
    assert len(verdict.reasons) == len(LABELS)
    for reason, label in zip(verdict.reasons, LABELS, strict=True):
        assert reason.sentence.startswith(label)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"comparisons": 999, "differences": 0}, "Comparisons in the last 14 days: 999; 1,000 are needed."),
        (
            {"differences": 2},
            "Comparisons with differences: 2 of 1,204, with 95 % confidence at most 0.5220 %; "
            "0.5 % are allowed.",
        ),
        (
            {"dropped": {"timeout": 100, "queue-full": 40, "stopped": 0}},
            "Calls that could not be compared: 140 (queue-full 40, timeout 100); "
            "up to 10 % of all are allowed.",
        ),
        (
            {"failed_dry_runs": {"createCase:body.files:missing": 1}},
            "Dry runs that failed: 1; 0 are allowed.",
        ),
        ({"compared": frozenset({"a", "c"})}, "Organizations with traffic that were compared: 1 of 2."),
        ({"ambiguous": 1}, "Calls that may have worked or not: 1; none may be left."),
        (
            {"contract_run": None},
            "Runs of the contract's checks: none; one of the last 7 days is needed, with no failure.",
        ),
        (
            {"contract_run": replace(RUN, failed=2)},
            "The newest run of the contract's checks: 2025-05-18, 40 passed, 2 failed; "
            "one of the last 7 days is needed, with no failure.",
        ),
        (
            {"contract_run": replace(RUN, at=NOW - timedelta(days=7, seconds=1))},
            "The newest run of the contract's checks: 2025-05-13, 40 passed, 0 failed; "
            "one of the last 7 days is needed, with no failure.",
        ),
        (
            {"contract_run": replace(RUN, passed=0)},
            "The newest run of the contract's checks: 2025-05-18, 0 passed, 0 failed; "
            "one of the last 7 days is needed, with no failure.",
        ),
    ],
)
def test_each_threshold_alone_makes_it_a_no_and_says_why(changes: dict[str, Any], sentence: str) -> None:
    assert failing(**changes) == [sentence]


@pytest.mark.parametrize(
    "changes",
    [
        {"comparisons": 1000, "differences": 0, "dropped": {}},
        {"dropped": {"timeout": 133}},
        {"with_traffic": frozenset()},
        {"contract_run": replace(RUN, at=NOW - timedelta(days=7))},
    ],
)
def test_what_just_meets_a_threshold_passes(changes: dict[str, Any]) -> None:
    assert failing(**changes) == []


def test_the_thresholds_are_the_mappings() -> None:
    lax = Switch(
        comparisons=0, max_difference_percent=100.0, max_dry_run_failures=5, contract_days=30, days=60
    )
    old = replace(RUN, at=NOW - timedelta(days=29))
    assert (
        failing(
            lax, comparisons=0, differences=0, dropped={}, failed_dry_runs={"a": 2, "b": 3}, contract_run=old
        )
        == []
    )
    assert failing(Switch(comparisons=1205)) == ["Comparisons in the last 14 days: 1,204; 1,205 are needed."]


def test_each_reason_has_its_figure_beside_what_is_needed() -> None:
    evidence = replace(GOOD, compared=frozenset({"a"}), ambiguous=2, failed_dry_runs={"x": 3})
    reasons = can_switch(evidence, Switch(), NOW).reasons
    assert [(each.code, each.have, each.need, each.unit, each.bound) for each in reasons] == [
        ("comparisons", 1204, 1000, "comparisons", "least"),
        ("differences", pytest.approx(0.3934, abs=1e-3), 0.5, "percent", "most"),
        ("dropped", pytest.approx(100 * 34 / 1238), 10, "percent", "most"),
        ("dry-runs", 3, 0, "dry runs", "most"),
        ("organizations", 1, 2, "organizations", "least"),
        ("ambiguous", 2, 0, "calls", "most"),
        ("contract", 2, 7, "days", "most"),
    ]
    (run,) = [
        each for each in can_switch(replace(GOOD, contract_run=None), Switch(), NOW).reasons if not each.ok
    ]
    assert (run.code, run.have) == ("contract", None)


def test_no_comparison_at_all_is_no_evidence() -> None:
    said = failing(comparisons=0, differences=0, dropped={}, compared=frozenset())
    assert [sentence.partition(":")[0] for sentence in said] == [
        "Comparisons in the last 14 days",
        "Comparisons with differences",
        "Organizations with traffic that were compared",
    ]


def test_no_organization_is_in_the_sentences() -> None:
    evidence = replace(GOOD, with_traffic={"Clínica Norte"}, compared={"Clínica Sur"})
    assert "Clínica" not in repr(evidence) + repr(can_switch(evidence, Switch(), NOW))


@pytest.mark.parametrize(
    ("bad", "seen", "percent"),
    [
        (0, 1000, 0.2991),
        (0, 1, 95.0),
        (0, 10, 25.8866),
        (1, 10, 39.4163),
        (5, 10, 77.7559),
        (9, 10, 99.4884),
        (0, 59, 4.9508),
        (10, 10, 100.0),
        (0, 0, 100.0),
    ],
)
def test_the_bound_is_that_of_clopper_and_pearson(bad: int, seen: int, percent: float) -> None:
    assert 100 * upper_bound(bad, seen) == pytest.approx(percent, abs=5e-5)


@pytest.mark.parametrize(
    ("bad", "seen"), [(0, 3), (1, 2), (3, 40), (17, 20), (99, 100), (12, 700), (60, 400)]
)
def test_at_the_bound_so_few_are_seen_once_in_twenty(bad: int, seen: int) -> None:
    """Compares with exact fractions."""
    rate = Fraction(upper_bound(bad, seen))
    chance = sum(comb(seen, each) * rate**each * (1 - rate) ** (seen - each) for each in range(bad + 1))
    assert float(chance) == pytest.approx(0.05, rel=1e-8)


@pytest.mark.parametrize(
    ("bad", "percent"),
    [
        (0, 2.99573e-5),
        (1, 4.74386e-5),
        (50_000, 0.5036844),
        (9_999_999, 99.9999995),
    ],
)
def test_of_ten_million_the_bound_is_found_all_the_same(bad: int, percent: float) -> None:
    """Takes the first two from Poisson; the third was summed with 40 digits, the last is 0.95 ** 1e-7."""
    assert 100 * upper_bound(bad, 10_000_000) == pytest.approx(percent, rel=2e-6)


def test_the_bound_grows_with_what_is_bad_and_shrinks_with_what_was_seen() -> None:
    by_bad = [upper_bound(bad, 500) for bad in range(501)]
    by_seen = [upper_bound(3, seen) for seen in range(4, 2000, 7)]
    assert by_bad == sorted(by_bad)
    assert by_seen == sorted(by_seen, reverse=True)
    assert upper_bound(3, 500, confidence=0.99) > upper_bound(3, 500)
