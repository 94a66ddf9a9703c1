"""Decides whether the evidence is enough to give a route to the new side: a pure decision, with figures."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from proxy.mapping.moving import Switch
from proxy.rollout.evidence.binomial import upper_bound
from proxy.store.rollout.contract_runs import ContractRun

# A share of what should have been compared: with more losses, the rest is no fair sample.
_MOST_DROPPED_PERCENT: Final = 10


@dataclass(frozen=True, slots=True)
class SwitchEvidence:
    """The evidence about a route within the thresholds' `days`.

    `differences` are the comparisons with at least one difference that no rule explains. `dropped` counts, by
    reason, the calls that should have been compared and were not. Organizations are keyed hashes. `ambiguous`
    are calls that may have worked or not.
    """

    comparisons: int
    differences: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    dry_run_failures: int = 0
    with_traffic: Set[str] = field(default=frozenset(), repr=False)
    compared: Set[str] = field(default=frozenset(), repr=False)
    contract_run: ContractRun | None = None
    ambiguous: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer; `reasons` are all that were checked, those in favour too."""

    yes: bool
    reasons: tuple[Reason, ...]


def can_switch(evidence: SwitchEvidence, thresholds: Switch, now: datetime) -> Verdict:
    """Returns yes only if every reason is ok."""
    reasons = tuple(check(evidence, thresholds) for check in _CHECKS)
    reasons += (_contract(evidence.contract_run, thresholds, now),)
    return Verdict(all(reason.ok for reason in reasons), reasons)


def _comparisons(evidence: SwitchEvidence, thresholds: Switch) -> Reason:
    seen, needed = evidence.comparisons, thresholds.comparisons
    said = f"Comparisons in the last {thresholds.days} days: {seen:,}; {needed:,} are needed."
    return Reason(seen >= needed, said)


def _differences(evidence: SwitchEvidence, thresholds: Switch) -> Reason:
    bound = 100 * upper_bound(evidence.differences, evidence.comparisons)
    said = (
        f"Comparisons with unexplained differences: {evidence.differences:,} of {evidence.comparisons:,}, "
        f"with 95 % confidence at most {bound:.4f} %; {thresholds.max_difference_percent:g} % are allowed."
    )
    return Reason(bound <= thresholds.max_difference_percent, said)


def _dropped(evidence: SwitchEvidence, _: Switch) -> Reason:
    lost = sum(evidence.dropped.values())
    each = ", ".join(f"{why} {count:,}" for why, count in sorted(evidence.dropped.items()) if count)
    said = (
        f"Calls that could not be compared: {lost:,}{f' ({each})' if each else ''}; "
        f"up to {_MOST_DROPPED_PERCENT} % of all are allowed."
    )
    return Reason(100 * lost <= _MOST_DROPPED_PERCENT * (lost + evidence.comparisons), said)


def _dry_runs(evidence: SwitchEvidence, thresholds: Switch) -> Reason:
    failed, allowed = evidence.dry_run_failures, thresholds.max_dry_run_failures
    return Reason(failed <= allowed, f"Dry runs that failed: {failed:,}; {allowed:,} are allowed.")


def _organizations(evidence: SwitchEvidence, _: Switch) -> Reason:
    total, left = len(evidence.with_traffic), len(evidence.with_traffic - evidence.compared)
    return Reason(not left, f"Organizations with traffic that were compared: {total - left:,} of {total:,}.")


def _ambiguous(evidence: SwitchEvidence, _: Switch) -> Reason:
    pending = evidence.ambiguous
    return Reason(not pending, f"Calls that may have worked or not: {pending:,}; none may be left.")


def _contract(run: ContractRun | None, thresholds: Switch, now: datetime) -> Reason:
    needed = f"one of the last {thresholds.contract_days} days is needed, with no failure."
    if run is None:
        return Reason(ok=False, sentence=f"Runs of the contract's checks: none; {needed}")
    young = now - run.at <= timedelta(days=thresholds.contract_days)
    said = (
        f"The newest run of the contract's checks: {run.at:%Y-%m-%d}, "
        f"{run.passed:,} passed, {run.failed:,} failed; {needed}"
    )
    return Reason(young and run.passed > 0 and not run.failed, said)


_CHECKS: Final[tuple[Callable[[SwitchEvidence, Switch], Reason], ...]] = (
    _comparisons,
    _differences,
    _dropped,
    _dry_runs,
    _organizations,
    _ambiguous,
)
