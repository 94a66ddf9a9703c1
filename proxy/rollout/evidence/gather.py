"""Gathers the evidence of `can-switch` from the store: everything about routes in their windows."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Route, Table
from proxy.modes import EVERYONE
from proxy.rollout.evidence.readiness import MappingSince, SwitchEvidence, Verdict, can_switch
from proxy.rollout.shadow.outcome import CONTROL_FAILED, DIFFERENCE, REFUSED_CALLER, How, ShadowOutcome
from proxy.store import Store
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.switch_counts import OutcomeSum, RouteWindow, switch_counts

# The digest of evidence that a release without digests wrote: it counts until it leaves the window.
UNMARKED: Final = ""

# These were never to be compared: a setting leaves them out, the legacy server failed, or it still answers
# such calls after the switch. All other losses may hide the very answers that would differ.
_LEFT_OUT: Final = frozenset(
    {"head", "not-sampled", "daily-cap", "unpaired", "unknown-token", CONTROL_FAILED, REFUSED_CALLER}
)


@dataclass(frozen=True, slots=True)
class SwitchFound:
    """The verdict on a route, and its evidence."""

    verdict: Verdict
    evidence: SwitchEvidence = field(repr=False)


def window_of(mapping: RouteMapping, now: datetime) -> date:
    """Returns the first day, in UTC, whose evidence counts; the whole day counts."""
    return (now - timedelta(days=mapping.switch.days)).astimezone(UTC).date()


def counted_mappings(route: Route[RouteMapping]) -> tuple[str, str]:
    """Returns the digests whose evidence counts: that in force, and that of earlier releases."""
    return route.digest, UNMARKED


async def switch_verdicts(
    store: Store, table: Table, now: datetime, only: Collection[str] | None = None
) -> dict[str, SwitchFound]:
    """Returns the verdict on each route, or `only` on these, with few queries for all of them together.

    Raises StoreError.
    """
    routes = {name: route for name, route in table.routes.items() if only is None or name in only}
    windows = [
        RouteWindow(name, route.digest, counted_mappings(route), window_of(route.mapping, now))
        for name, route in routes.items()
    ]
    counts = await switch_counts(store.database, windows)
    in_force = (await store.overrides.load()).all_in_force(now)
    pending, runs = await store.pending(), await store.contract_runs.newest()
    named = {store.sealer.organization(name) for name in table.organizations.known}
    found: dict[str, SwitchFound] = {}
    for window in windows:
        name = window.route
        moved = {
            each.scope
            for each in in_force
            if (each.route, each.mode) == (name, "new") and each.scope != EVERYONE
        }
        evidence = _evidence(
            [each for each in counts.outcomes if each.route == name],
            window,
            first_day=counts.first_days.get(name),
            compared=frozenset(counts.compared.get(name, frozenset()) - {""}),
            with_traffic=frozenset((counts.callers.get(name, frozenset()) | named) - moved - {""}),
            contract_run=next((run for run in runs if run.route == name), None),
            # A call's kind is the name of the flow that made it.
            ambiguous=sum(call.kind == name and call.at.date() >= window.since for call in pending),
        )
        found[name] = SwitchFound(can_switch(evidence, routes[name].mapping.switch, now), evidence)
    return found


async def switch_found(store: Store, route: str, table: Table, now: datetime) -> SwitchFound:
    """Returns the verdict on one route. Raises StoreError."""
    return (await switch_verdicts(store, table, now, [route]))[route]


def _evidence(
    rows: Iterable[OutcomeSum],
    window: RouteWindow,
    *,
    first_day: date | None,
    compared: Set[str],
    with_traffic: Set[str],
    contract_run: ContractRun | None,
    ambiguous: int,
) -> SwitchEvidence:
    """Adds up the mappings that count; of all others only the comparisons are summed."""
    counts: Counter[ShadowOutcome] = Counter()
    by_mapping: Counter[str] = Counter()
    for row in rows:
        outcome = ShadowOutcome.of_text(row.outcome)
        if outcome is None:
            continue
        by_mapping[row.mapping] += row.count if outcome.is_comparison else 0
        if row.mapping in window.counted:
            counts[outcome] += row.count
    dropped = _reasons(counts, "dropped")
    own, unmarked = by_mapping[window.mapping], by_mapping[UNMARKED]
    return SwitchEvidence(
        comparisons=own + unmarked,
        differences=counts[DIFFERENCE],
        dropped={why: count for why, count in dropped.items() if why not in _LEFT_OUT},
        left_out={why: count for why, count in dropped.items() if why in _LEFT_OUT},
        failed_dry_runs=_reasons(counts, "dry-run-failed"),
        with_traffic=with_traffic,
        compared=compared,
        contract_run=contract_run,
        ambiguous=ambiguous,
        since=MappingSince(window.mapping, first_day, unmarked, by_mapping.total() - own - unmarked),
    )


def _reasons(counts: Mapping[ShadowOutcome, int], how: How) -> dict[str, int]:
    return dict(sorted((outcome.why, count) for outcome, count in counts.items() if outcome.how == how))
