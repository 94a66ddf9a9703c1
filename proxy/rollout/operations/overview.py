"""Sums up who answers each route now, and how well; with one query of the series for all routes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from proxy.mapping.moving import Switch
from proxy.mapping.table import Table
from proxy.modes import EVERYONE, Mode
from proxy.rollout.evidence.gather import SwitchFound, switch_verdicts
from proxy.rollout.evidence.rates import DifferenceRate, difference_rate, error_rate, percentile
from proxy.rollout.evidence.readiness import SwitchReason
from proxy.rollout.snapshot import InForce, Snapshot
from proxy.store import Store
from proxy.store.rollout.series import MINUTE, Point, SeriesCounts, Span

# From the old server to the new side, and nobody at all.
LADDER: Final[tuple[Mode, ...]] = ("legacy", "shadow", "canary", "new", "off")

_MINUTES: Final = 60
_RECENT: Final = 5  # minutes, of which "now" is the mean


@dataclass(frozen=True, slots=True)
class Latency:
    """Two percentiles in milliseconds; `side` is the side that answered."""

    side: str
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """A route's answers of the last hour.

    `per_second` is the mean of the last minutes. `errors` is the share with a status of 500 or more, None
    without an answer. `minutes` has the count of each minute, oldest first.
    """

    per_second: float
    count: int
    errors: float | None
    latencies: tuple[Latency, ...]
    minutes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SwitchNow:
    """The decision of can-switch on a route: `against` are the reasons that say no.

    `rate` is the rate of differences that it counts, None without a comparison, `allowed` the bound that it
    asks for, from 0 to 1.
    """

    yes: bool
    against: tuple[SwitchReason, ...]
    rate: DifferenceRate | None
    allowed: float


@dataclass(frozen=True, slots=True)
class RouteNow:
    """A route with its mode for everyone, and the number of organizations whose own mode differs from it.

    `percent` is None but for a canary. `until` is the end of the override, `revision` 0 means the mapping.
    `may_undo` says that there is a change to roll back. `allowed_errors` is the share of errors at which a
    canary steps back.
    """

    route: str
    method: str
    path: str
    mode: Mode
    percent: float | None
    until: datetime | None
    revision: int
    differing_organizations: int
    may_undo: bool
    allowed_errors: float


def routes_now(snapshot: Snapshot, now: datetime) -> list[RouteNow]:
    """Returns every route, in the order of the mapping files."""
    return [_route_now(route, snapshot, now) for route in snapshot.table.routes]


async def traffic_now(store: Store, routes: Sequence[str], now: datetime) -> dict[str, Traffic]:
    """Returns the traffic of each route in the last hour, the current minute included. Raises StoreError."""
    minute = now.replace(second=0, microsecond=0)
    first = minute - timedelta(minutes=_MINUTES - 1)
    points = await store.series.of_each(routes, Span(first, minute + timedelta(minutes=1), MINUTE, MINUTE))
    return {route: _traffic([each for each in points if each.route == route], first) for route in routes}


async def switches_now(store: Store, table: Table, now: datetime) -> dict[str, SwitchNow]:
    """Returns the decision of can-switch on each route. Raises StoreError."""
    verdicts = await switch_verdicts(store, table, now)
    return {name: _switch_now(found, table.routes[name].mapping.switch) for name, found in verdicts.items()}


def _switch_now(found: SwitchFound, thresholds: Switch) -> SwitchNow:
    evidence = found.evidence
    return SwitchNow(
        yes=found.verdict.yes,
        against=tuple(each for each in found.verdict.reasons if not each.ok),
        rate=difference_rate(SeriesCounts(compared=evidence.comparisons, differing=evidence.differences)),
        allowed=thresholds.max_difference_percent / 100,
    )


def _traffic(points: Sequence[Point], first: datetime) -> Traffic:
    minutes, total = [0] * _MINUTES, SeriesCounts()
    sides: dict[str, SeriesCounts] = {}
    for each in points:
        minutes[(each.at - first) // timedelta(minutes=1)] += each.counts.count
        total.add(each.counts)
        sides.setdefault(each.side, SeriesCounts()).add(each.counts)
    # The current minute is not over: it would show less than there is.
    recent = minutes[-1 - _RECENT : -1]
    return Traffic(
        per_second=sum(recent) / (_RECENT * 60),
        count=total.count,
        errors=error_rate(total),
        latencies=tuple(_latencies(sides)),
        minutes=tuple(minutes),
    )


def _latencies(sides: Mapping[str, SeriesCounts]) -> Iterable[Latency]:
    for side, counts in sorted(sides.items()):
        p50, p95 = percentile(counts.latencies, 0.5), percentile(counts.latencies, 0.95)
        if side and p50 is not None and p95 is not None:
            yield Latency(side, p50, p95)


def _route_now(route: str, snapshot: Snapshot, now: datetime) -> RouteNow:
    mapping, everyone = snapshot.table.routes[route].mapping, snapshot.in_force(route, None, now)
    override = snapshot.overrides.in_force(route, None, now)
    own = [each.scope for each in snapshot.overrides.all_in_force(now) if each.route == route]
    return RouteNow(
        route=route,
        method=mapping.method,
        path=mapping.path,
        mode=everyone.mode,
        percent=_step(everyone)[1],
        until=override.until if override else None,
        revision=everyone.revision,
        differing_organizations=sum(
            scope != EVERYONE and _step(snapshot.in_force(route, scope, now)) != _step(everyone)
            for scope in own
        ),
        may_undo=any(key[0] == route for key in snapshot.overrides.stacks),
        allowed_errors=mapping.step_back.max_error_percent / 100,
    )


def _step(in_force: InForce) -> tuple[Mode, float | None]:
    return in_force.mode, in_force.percent if in_force.mode == "canary" else None
