"""Shows whether a route can be given to the new side, with the figures."""

from dataclasses import asdict
from datetime import datetime

from aiohttp import web

from proxy.flows.answers import json
from proxy.mapping.table import Table
from proxy.rollout.evidence.gather import organization_names, switch_found
from proxy.rollout.evidence.readiness import SwitchEvidence, since_json
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
    found = await switch_found(store, route, table, now)
    evidence, reasons = found.evidence, found.verdict.reasons
    names = await organization_names(store, evidence.never_compared, table.organizations)
    return {
        "route": route,
        "yes": found.verdict.yes,
        "reasons": [asdict(each) for each in reasons],
        "comparisons": evidence.comparisons,
        "differing": evidence.differences,
        "dropped": dict(evidence.dropped),
        "left_out": dict(evidence.left_out),
        "control_failed": evidence.control_failed,
        "dry_run_failures": dict(evidence.failed_dry_runs),
        "organizations": len(evidence.with_traffic),
        "never_compared": _never_compared(evidence, names),
        "ambiguous": evidence.ambiguous,
        "contract_run": _run(evidence.contract_run),
        "since": since_json(evidence.since),
    }


def _never_compared(evidence: SwitchEvidence, names: dict[str, str]) -> Json:
    return [{"hash": scope, "name": names.get(scope)} for scope in sorted(evidence.never_compared)]


def _run(run: ContractRun | None) -> Json:
    return {**asdict(run), "at": rfc3339(run.at)} if run else None
