"""Gathers the evidence of `can-switch` from the store: everything about a route in its window."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Organizations
from proxy.modes import EVERYONE
from proxy.rollout.evidence.readiness import SwitchEvidence
from proxy.rollout.shadow.outcome import DIFFERENCE, How, ShadowOutcome
from proxy.store import Store
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.evidence import ComparisonCount

# These were never to be compared: a setting leaves them out, or the legacy server still answers such calls
# after the switch. All other losses may hide the very answers that would differ.
_LEFT_OUT: Final = frozenset({"head", "not-sampled", "daily-cap", "unpaired", "unknown-token"})
_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of a route's shadow runs: `lost` should have been compared, `left_out` should not."""

    comparisons: int
    differences: int
    lost: Mapping[str, int]
    left_out: Mapping[str, int]
    dry_run_failures: Mapping[str, int]
    compared: Set[str]


def window_of(mapping: RouteMapping, now: datetime) -> date:
    """Returns the first day, in UTC, whose evidence counts; the whole day counts."""
    return (now - timedelta(days=mapping.switch.days)).astimezone(UTC).date()


def sums_of(rows: Iterable[ComparisonCount]) -> Sums:
    """Adds up days and organizations."""
    ends = [(outcome, row) for row in rows if (outcome := ShadowOutcome.of_text(row.outcome))]
    counts: Counter[ShadowOutcome] = Counter()
    for outcome, row in ends:
        counts[outcome] += row.count
    dropped = _reasons(counts, "dropped")
    return Sums(
        comparisons=sum(count for outcome, count in counts.items() if outcome.is_comparison),
        differences=counts[DIFFERENCE],
        lost={why: count for why, count in dropped.items() if why not in _LEFT_OUT},
        left_out={why: count for why, count in dropped.items() if why in _LEFT_OUT},
        dry_run_failures=_reasons(counts, "dry-run-failed"),
        compared=frozenset(row.organization for outcome, row in ends if outcome.is_comparison) - {""},
    )


async def switch_evidence(
    store: Store, route: str, mapping: RouteMapping, organizations: Organizations, now: datetime
) -> SwitchEvidence:
    """Returns the evidence about the route within its mapping's `switch.days`."""
    since = window_of(mapping, now)
    sums = sums_of(await store.evidence.comparisons(route, since))
    return SwitchEvidence(
        comparisons=sums.comparisons,
        differences=sums.differences,
        dropped=sums.lost,
        dry_run_failures=sum(sums.dry_run_failures.values()),
        with_traffic=await _still_to_move(store, route, organizations, since, now),
        compared=sums.compared,
        contract_run=await _newest_run(store, route),
        ambiguous=await _ambiguous(store, route, since),
    )


async def organization_names(store: Store, route: str, organizations: Organizations) -> dict[str, str]:
    """Returns legacy names by keyed hash, those in the ledger of this route or in organizations.toml."""
    calls = await store.ledger.calls(route=route)
    seen = {each.client.organization_hash: each.client.organization for each in calls}
    return {scope: name for scope, name in (seen | _named(store, organizations)).items() if scope and name}


async def _still_to_move(
    store: Store, route: str, organizations: Organizations, since: date, now: datetime
) -> frozenset[str]:
    """Returns the organizations that call the route or have a name in organizations.toml, and have not moved.

    Only successful calls count: anyone may send any organization's name, and be refused.
    """
    calls = await store.ledger.calls(since, route)
    calling = {each.client.organization_hash for each in calls if each.status < _ERROR}
    in_force = (await store.overrides.load()).all_in_force(now)
    moved = {
        each.scope
        for each in in_force
        if (each.route, each.mode) == (route, "new") and each.scope != EVERYONE
    }
    return frozenset((calling | _named(store, organizations).keys()) - moved - {""})


def _named(store: Store, organizations: Organizations) -> dict[str, str]:
    return {store.sealer.organization(name): name for name in organizations.known}


async def _newest_run(store: Store, route: str) -> ContractRun | None:
    return next((run for run in await store.contract_runs.newest() if run.route == route), None)


async def _ambiguous(store: Store, route: str, since: date) -> int:
    """Counts the route's pending calls; a call's kind is the name of the flow that made it."""
    pending = await store.pending()
    return sum(call.kind == route and call.at.date() >= since for call in pending)


def _reasons(counts: Mapping[ShadowOutcome, int], how: How) -> dict[str, int]:
    return dict(sorted((outcome.why, count) for outcome, count in counts.items() if outcome.how == how))
