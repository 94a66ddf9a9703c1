"""Lists a route's organizations: the side that answers each, its calls, and how often it was compared."""

from dataclasses import dataclass
from datetime import datetime

from proxy.rollout.evidence.gather import counted_mappings, window_of
from proxy.rollout.preview.membership import Membership, Organization, membership
from proxy.rollout.preview.planning import roster_of
from proxy.rollout.snapshot import Snapshot
from proxy.store import Store
from proxy.store.rollout.switch_counts import RouteWindow, compared_by_organization


@dataclass(frozen=True, slots=True)
class Listed:
    """An organization of a route; `compared` and `differing` count the comparisons that can-switch counts."""

    organization: Organization
    membership: Membership
    compared: int
    differing: int


async def organizations_of(
    store: Store, route: str, snapshot: Snapshot, now: datetime, *, has_legacy: bool
) -> tuple[Listed, ...]:
    """Returns the organizations that are known on the route, by name."""
    roster = await roster_of(store, route, snapshot, now)
    own = snapshot.table.routes[route]
    window = RouteWindow(route, own.digest, counted_mappings(own), window_of(own.mapping, now))
    compared = await compared_by_organization(store.database, window)
    return tuple(
        Listed(
            one,
            membership(route, snapshot, one, now, has_legacy=has_legacy),
            *compared.get(one.scope, (0, 0)),
        )
        for one in roster.organizations
    )
