"""Says for each known organization which side answers it on a route, and by which rule: pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, TypeAlias

from proxy.mapping.models import RouteMapping
from proxy.modes import EVERYONE, Mode
from proxy.rollout.canary import CanaryRule, bucket, canary_rule, in_canary
from proxy.rollout.snapshot import InForce, Snapshot
from proxy.values import Side

SetBy: TypeAlias = Literal["organization", "everyone", "mapping"]
# The rule that chooses the side: the mode alone, a canary's own rules, or that there is no other side.
Rule: TypeAlias = Literal["mode", "only-new", CanaryRule]

_WHOLE: Final = 100.0


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization that may call a route.

    `scope` is its keyed hash; `name` is its legacy name, None where no key opens it. `calls` are those of the
    last days (see `Roster`), `last_day` is the day of UTC of the last one.
    """

    scope: str
    name: str | None = field(repr=False)
    calls: int = 0
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """The organizations of a route, by name; `hours` is the time in which their calls were counted."""

    organizations: tuple[Organization, ...]
    hours: float = 1.0

    def calls_an_hour(self, organizations: Iterable[Organization]) -> float:
        return sum(each.calls for each in organizations) / self.hours


@dataclass(frozen=True, slots=True)
class Membership:
    """The side that answers an organization's new cases now; None is nobody, for the route is off.

    A case stays on the side that made it, whatever the mode is. `bucket` is the organization's own of
    BUCKETS: a percentage adds it once it is higher.
    """

    in_force: InForce
    side: Side | None
    rule: Rule
    bucket: int

    @property
    def set_by(self) -> SetBy:
        """Returns whose setting is in force: the organization's own, everyone's override, or the mapping."""
        if self.in_force.revision == 0:
            return "mapping"
        return "everyone" if self.in_force.scope == EVERYONE else "organization"


def membership(
    route: str, snapshot: Snapshot, one: Organization, now: datetime, *, has_legacy: bool
) -> Membership:
    """Returns the organization's membership, by the rules of `decide`."""
    in_force = snapshot.in_force(route, one.scope, now)
    side, rule = _chosen(in_force, snapshot.table.routes[route].mapping, one, has_legacy=has_legacy)
    return Membership(in_force, side, rule, bucket(one.scope))


def share(mode: Mode | None, percent: float) -> float:
    """Returns the percentage of organizations that the new side answers."""
    return {"new": _WHOLE, "canary": percent}.get(mode or "", 0.0)


def _chosen(
    in_force: InForce, mapping: RouteMapping, one: Organization, *, has_legacy: bool
) -> tuple[Side | None, Rule]:
    if in_force.mode == "off":
        return None, "mode"
    if not has_legacy:
        return "new", "only-new"
    if in_force.mode != "canary":
        return ("new" if in_force.mode == "new" else "legacy"), "mode"
    moved = in_canary(one.name, one.scope, in_force.percent, mapping.canary)
    return ("new" if moved else "legacy"), canary_rule(one.name, mapping.canary)
