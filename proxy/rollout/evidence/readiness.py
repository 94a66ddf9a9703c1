"""Decides whether the evidence is enough to give a route to the new side: a pure decision, with figures."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias

from proxy.mapping.moving import Switch
from proxy.rollout.evidence.binomial import upper_bound
from proxy.rollout.shadow.outcome import CONTROL_FAILED
from proxy.store.rollout.contract_runs import ContractRun
from proxy.values import Json

# A share of what should have been compared: with more losses, the rest is no fair sample.
_MOST_DROPPED_PERCENT: Final = 10


ReasonCode: TypeAlias = Literal[
    "comparisons", "differences", "dropped", "dry-runs", "organizations", "ambiguous", "contract"
]
Unit: TypeAlias = Literal["comparisons", "percent", "dry runs", "organizations", "calls", "days"]


@dataclass(frozen=True, slots=True)
class MappingSince:
    """The mapping whose evidence counts, by its digest (`Route.digest`).

    `first_day` is the first one with a comparison under it, None before that. `unmarked` are the comparisons
    that count and are of a release without digests; `earlier` are those of other mappings, which don't count.
    """

    digest: str = ""
    first_day: date | None = None
    unmarked: int = 0
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class SwitchEvidence:
    """The evidence about a route within the thresholds' `days`.

    `differences` are the comparisons with at least one difference that no rule explains. `dropped` counts, by
    reason, the calls that should have been compared and were not; `left_out` those that should not.
    Organizations are keyed hashes. `ambiguous` are calls that may have worked or not.
    """

    comparisons: int
    differences: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    failed_dry_runs: Mapping[str, int] = field(default_factory=dict)
    with_traffic: Set[str] = field(default=frozenset(), repr=False)
    compared: Set[str] = field(default=frozenset(), repr=False)
    contract_run: ContractRun | None = None
    ambiguous: int = 0
    since: MappingSince = MappingSince()

    @property
    def control_failed(self) -> int:
        """Returns the count of calls in which the legacy server itself failed."""
        return self.left_out.get(CONTROL_FAILED, 0)

    @property
    def never_compared(self) -> Set[str]:
        return self.with_traffic - self.compared


@dataclass(frozen=True, slots=True)
class Reason:
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class SwitchReason(Reason):
    """A reason for or against a switch, with its figures.

    It is `ok` if `have` is at least, or at most, what is needed, and nothing else that the sentence names is
    wrong. `have` is None where nothing was ever counted.
    """

    code: ReasonCode
    have: float | None
    need: float
    unit: Unit
    bound: Literal["least", "most"] = "most"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer; `reasons` are all that were checked, those in favour too."""

    yes: bool
    reasons: tuple[SwitchReason, ...]


def since_json(since: MappingSince) -> Json:
    """Returns the value as the CLI and the admin API give it out."""
    first = since.first_day.isoformat() if since.first_day else None
    return {
        "mapping": since.digest,
        "first_day": first,
        "unmarked": since.unmarked,
        "earlier": since.earlier,
    }


def can_switch(evidence: SwitchEvidence, thresholds: Switch, now: datetime) -> Verdict:
    """Returns yes only if every reason is ok."""
    reasons = tuple(check(evidence, thresholds) for check in _CHECKS)
    reasons += (_contract(evidence.contract_run, thresholds, now),)
    return Verdict(all(reason.ok for reason in reasons), reasons)


def _comparisons(evidence: SwitchEvidence, thresholds: Switch) -> SwitchReason:
    seen, needed = evidence.comparisons, thresholds.comparisons
    said = f"Comparisons in the last {thresholds.days} days: {seen:,}; {needed:,} are needed."
    return SwitchReason(seen >= needed, said, "comparisons", seen, needed, "comparisons", "least")


def _differences(evidence: SwitchEvidence, thresholds: Switch) -> SwitchReason:
    bound, allowed = (
        100 * upper_bound(evidence.differences, evidence.comparisons),
        thresholds.max_difference_percent,
    )
    said = (
        f"Comparisons with differences: {evidence.differences:,} of {evidence.comparisons:,}, "
        f"with 95 % confidence at most {bound:.4f} %; {allowed:g} % are allowed."
    )
    return SwitchReason(bound <= allowed, said, "differences", bound, allowed, "percent")


def _dropped(evidence: SwitchEvidence, _: Switch) -> SwitchReason:
    lost = sum(evidence.dropped.values())
    each = ", ".join(f"{why} {count:,}" for why, count in sorted(evidence.dropped.items()) if count)
    said = (
        f"Calls that could not be compared: {lost:,}{f' ({each})' if each else ''}; "
        f"up to {_MOST_DROPPED_PERCENT} % of all are allowed."
    )
    whole = lost + evidence.comparisons
    fine, percent = 100 * lost <= _MOST_DROPPED_PERCENT * whole, 100 * lost / whole if whole else 0
    return SwitchReason(fine, said, "dropped", percent, _MOST_DROPPED_PERCENT, "percent")


def _dry_runs(evidence: SwitchEvidence, thresholds: Switch) -> SwitchReason:
    failed, allowed = sum(evidence.failed_dry_runs.values()), thresholds.max_dry_run_failures
    said = f"Dry runs that failed: {failed:,}; {allowed:,} are allowed."
    return SwitchReason(failed <= allowed, said, "dry-runs", failed, allowed, "dry runs")


def _organizations(evidence: SwitchEvidence, _: Switch) -> SwitchReason:
    total, left = len(evidence.with_traffic), len(evidence.never_compared)
    said = f"Organizations with traffic that were compared: {total - left:,} of {total:,}."
    return SwitchReason(not left, said, "organizations", total - left, total, "organizations", "least")


def _ambiguous(evidence: SwitchEvidence, _: Switch) -> SwitchReason:
    pending = evidence.ambiguous
    said = f"Calls that may have worked or not: {pending:,}; none may be left."
    return SwitchReason(not pending, said, "ambiguous", pending, 0, "calls")


def _contract(run: ContractRun | None, thresholds: Switch, now: datetime) -> SwitchReason:
    days = thresholds.contract_days
    needed = f"one of the last {days} days is needed, with no failure."
    if run is None:
        said = f"Runs of the contract's checks: none; {needed}"
        return SwitchReason(ok=False, sentence=said, code="contract", have=None, need=days, unit="days")
    age = now - run.at
    said = (
        f"The newest run of the contract's checks: {run.at:%Y-%m-%d}, "
        f"{run.passed:,} passed, {run.failed:,} failed; {needed}"
    )
    fine = age <= timedelta(days=days) and run.passed > 0 and not run.failed
    return SwitchReason(fine, said, "contract", age / timedelta(days=1), days, "days")


_CHECKS: Final[tuple[Callable[[SwitchEvidence, Switch], SwitchReason], ...]] = (
    _comparisons,
    _differences,
    _dropped,
    _dry_runs,
    _organizations,
    _ambiguous,
)
