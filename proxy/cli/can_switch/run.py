"""Reads the evidence for `michiq-proxy can-switch`, and prints the verdict."""

from datetime import UTC, datetime

from proxy.cli.can_switch import report
from proxy.cli.can_switch.report import SwitchFound
from proxy.cli.common import mappings_folder, read_settings, read_table
from proxy.cli.mode.request import existing_route
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.mapping.table import Table
from proxy.rollout.evidence import readiness
from proxy.rollout.evidence.gather import organization_names, sums_of, switch_evidence, window_of
from proxy.store import Store


def run(route: str, *, as_json: bool) -> bool:
    """Prints the verdict; returns whether it is yes."""
    settings = read_settings()
    table = read_table(mappings_folder(settings.mappings))
    existing_route(route, table.routes)
    now = datetime.now(UTC)
    found = with_store(settings, lambda store: look(store, route, table, now))
    if as_json:
        echo_json(report.as_json(found))
    else:
        report.print_report(found)
    return found.verdict.yes


async def look(store: Store, route: str, table: Table, now: datetime) -> SwitchFound:
    """Reads all evidence for and against the new side."""
    mapping = table.routes[route].mapping
    since = window_of(mapping, now)
    evidence = await switch_evidence(store, route, mapping, table.organizations, now)
    differences = await store.evidence.differences(route)
    return SwitchFound(
        route=route,
        verdict=readiness.can_switch(evidence, mapping.switch, now),
        evidence=evidence,
        sums=sums_of(await store.evidence.comparisons(route, since)),
        differences=tuple(each for each in differences if each.last_seen.date() >= since),
        names=await organization_names(store, route, table.organizations),
    )
