"""Sums up who answers each route now, for an operator who looks at all of them."""

from dataclasses import dataclass
from datetime import datetime

from proxy.modes import EVERYONE, Mode
from proxy.rollout.snapshot import InForce, Snapshot


@dataclass(frozen=True, slots=True)
class RouteNow:
    """A route with its mode for everyone, and the number of organizations whose own mode differs from it.

    `percent` is None but for a canary. `until` is the end of the override, `revision` 0 means the mapping.
    """

    route: str
    method: str
    path: str
    mode: Mode
    percent: float | None
    until: datetime | None
    revision: int
    differing_organizations: int


def routes_now(snapshot: Snapshot, now: datetime) -> list[RouteNow]:
    """Returns every route, in the order of the mapping files."""
    return [_route_now(route, snapshot, now) for route in snapshot.table.routes]


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
    )


def _step(in_force: InForce) -> tuple[Mode, float | None]:
    return in_force.mode, in_force.percent if in_force.mode == "canary" else None
