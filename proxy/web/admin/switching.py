"""Shows whether a route can be given to the new side, with the figures."""

from dataclasses import asdict
from datetime import datetime

from aiohttp import web

from proxy.flows.answers import json
from proxy.mapping.table import Table
from proxy.rollout.evidence.gather import organization_names, sums_of, switch_evidence, window_of
from proxy.rollout.evidence.readiness import SwitchEvidence, can_switch
from proxy.server.responses import respond
from proxy.store import Store
from proxy.store.rollout.contract_runs import ContractRun
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.route_names import route_in_path
from proxy.web.keys import DEPS, LIVE


async def show(request: web.Request) -> web.StreamResponse:
    """Returns the decision by the thresholds of the route's mapping."""
    deps, route = request.app[DEPS], route_in_path(request)
    table, now = request.app[LIVE].now.table, deps.effects.clock()
    return respond(json(200, await _report(deps.store, route, table, now)))


async def _report(store: Store, route: str, table: Table, now: datetime) -> Json:
    mapping = table.routes[route].mapping
    evidence = await switch_evidence(store, route, mapping, table.organizations, now)
    sums = sums_of(await store.evidence.comparisons(route, window_of(mapping, now)))
    names = await organization_names(store, route, table.organizations)
    verdict = can_switch(evidence, mapping.switch, now)
    reasons: list[Json] = [{"ok": each.ok, "sentence": each.sentence} for each in verdict.reasons]
    return {
        "route": route,
        "yes": verdict.yes,
        "reasons": reasons,
        "comparisons": evidence.comparisons,
        "differing": evidence.differences,
        "dropped": dict(evidence.dropped),
        "left_out": dict(sums.left_out),
        "dry_run_failures": dict(sums.dry_run_failures),
        "organizations": len(evidence.with_traffic),
        "never_compared": _never_compared(evidence, names),
        "ambiguous": evidence.ambiguous,
        "contract_run": _run(evidence.contract_run),
    }


def _never_compared(evidence: SwitchEvidence, names: dict[str, str]) -> Json:
    missing = sorted(evidence.with_traffic - evidence.compared)
    return [{"hash": scope, "name": names.get(scope)} for scope in missing]


def _run(run: ContractRun | None) -> Json:
    return {**asdict(run), "at": rfc3339(run.at)} if run else None
