"""Lists a route's organizations: the side that answers each, its calls, and how often it was compared."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from proxy.rollout.evidence.gather import counted_mappings, window_of
from proxy.rollout.preview.membership import Membership, Organization, membership
from proxy.rollout.preview.planning import roster_of
from proxy.rollout.shadow.outcome import DIFFERENCE, ShadowOutcome
from proxy.rollout.snapshot import Snapshot
from proxy.store import Store
from proxy.store.rollout.organization_counts import OrganizationOutcome, organization_counts


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
    since = window_of(own.mapping, now)
    compared, differing = _compared(
        await organization_counts(store.database, route, counted_mappings(own), since)
    )
    return tuple(
        Listed(
            one,
            membership(route, snapshot, one, now, has_legacy=has_legacy),
            compared[one.scope],
            differing[one.scope],
        )
        for one in roster.organizations
    )


def _compared(rows: Iterable[OrganizationOutcome]) -> tuple[Counter[str], Counter[str]]:
    """Returns the comparisons, and those that differ, by organization."""
    compared: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for row in rows:
        outcome = ShadowOutcome.of_text(row.outcome)
        if outcome is not None and outcome.is_comparison:
            compared[row.organization] += row.count
            differing[row.organization] += row.count if outcome == DIFFERENCE else 0
    return compared, differing
