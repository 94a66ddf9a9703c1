"""Reads from the store what a preview needs: the route's organizations, and the verdict of can-switch."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from proxy.flows.registry import FLOWS
from proxy.mapping.table import Table
from proxy.modes import EVERYONE, Override, Overrides
from proxy.rollout.evidence.gather import switch_found
from proxy.rollout.evidence.readiness import SwitchReason
from proxy.rollout.preview.effects import Preview, preview
from proxy.rollout.preview.membership import Organization, Roster
from proxy.rollout.snapshot import Snapshot
from proxy.store import Store

KNOWN_DAYS: Final = 30  # an organization without a call for so long is shown only if a file names it
COUNTED_DAYS: Final = 7
_LEAST_HOURS: Final = 1.0
_HOUR: Final = timedelta(hours=1)


async def plan(
    store: Store,
    snapshot: Snapshot,
    change: Override,
    now: datetime,
    *,
    has_legacy: bool,
    roster: Roster | None = None,
) -> Preview:
    """Returns the effects of a change (`OverrideStore.planned`), with the evidence when it goes forward.

    `roster` is that of `roster_of`, if the caller has it already.
    """
    roster = roster or await roster_of(store, change.route, snapshot, now, change)
    makes_case = FLOWS[change.route].spec.makes_case
    found = preview(change, snapshot, roster, now, has_legacy=has_legacy, makes_case=makes_case)
    if not found.forward or found.unchanged:
        return found
    return replace(found, against=await against(store, change.route, snapshot.table, now))


async def roster_of(
    store: Store, route: str, snapshot: Snapshot, now: datetime, change: Override | None = None
) -> Roster:
    """Returns the organizations that called the route, that a file names, or that an override is of."""
    today = now.astimezone(UTC).date()
    found = await store.callers.of_route(
        route, today - timedelta(days=KNOWN_DAYS), today - timedelta(days=COUNTED_DAYS)
    )
    own = _overridden(snapshot.overrides, route, now)
    if change is not None and change.scope != EVERYONE:
        own[change.scope] = change.organization
    named = {store.sealer.organization(name): name for name in snapshot.table.organizations.known}
    calling = {
        each.organization_hash: Organization(
            each.organization_hash, each.organization or None, each.calls, each.last_day
        )
        for each in found.callers
    }
    every = {scope: Organization(scope, name) for scope, name in (own | named).items()} | calling
    ordered = sorted(every.values(), key=lambda one: (one.name is None, one.name or "", one.scope))
    return Roster(tuple(ordered), max(_LEAST_HOURS, (now - found.begin) / _HOUR))


async def against(store: Store, route: str, table: Table, now: datetime) -> tuple[SwitchReason, ...]:
    """Returns can-switch's reasons against the new side; none is a yes."""
    verdict = (await switch_found(store, route, table, now)).verdict
    return tuple(each for each in verdict.reasons if not each.ok)


def _overridden(overrides: Overrides, route: str, now: datetime) -> dict[str, str | None]:
    return {
        each.scope: each.organization
        for each in overrides.all_in_force(now)
        if each.route == route and each.scope != EVERYONE
    }
