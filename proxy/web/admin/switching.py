"""Shows whether a route can be given to the new side, with the figures, and what a change would do."""

from dataclasses import asdict
from datetime import datetime

from aiohttp import web

from proxy.flows.answers import json
from proxy.mapping.base import Model
from proxy.mapping.table import Table
from proxy.modes import BadChange, Change, Mode, Override
from proxy.rollout.evidence.gather import switch_found
from proxy.rollout.evidence.readiness import SwitchEvidence, since_json
from proxy.rollout.operations.organization_names import names_of
from proxy.rollout.preview.planning import plan
from proxy.rollout.preview.rows import preview_json
from proxy.server.responses import respond
from proxy.store import Store
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.overrides import NothingToUndo
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.inputs import WHOLE_BODY, read_body
from proxy.web.admin.keys import ACTOR, FOLLOWER
from proxy.web.admin.overrides import end_of, stripped
from proxy.web.admin.problems import Problem, invalid
from proxy.web.admin.revisions import etag
from proxy.web.admin.route_names import route_in_path
from proxy.web.keys import DEPS, LIVE


class _Previewed(Model):
    mode: Mode | None = None
    clear: bool = False
    rollback: bool = False
    organization: str | None = None
    percent: float | None = None
    until: str | None = None
    reason: str = "a preview"


async def show(request: web.Request) -> web.StreamResponse:
    """Returns the decision by the thresholds of the route's mapping."""
    deps, route = request.app[DEPS], route_in_path(request)
    table, now = request.app[LIVE].now.table, deps.effects.clock()
    return respond(json(200, await _report(deps.store, route, table, now)))


async def preview(request: web.Request) -> web.StreamResponse:
    """Returns what a change would do, and makes none."""
    await request.app[FOLLOWER].catch_up()
    deps, live, route = request.app[DEPS], request.app[LIVE], route_in_path(request)
    asked, now = await read_body(request, _Previewed), deps.effects.clock()
    has_legacy = deps.upstreams.michiq is not None
    try:
        draft = await _draft(deps.store, asked, route, request[ACTOR], now)
    except NothingToUndo:
        raise Problem(409, "there is no change left to roll back", kind="nothing-to-undo") from None
    except BadChange as bad:
        raise invalid([{**WHOLE_BODY, "detail": str(bad)}]) from None
    found = await plan(deps.store, live.now, draft, now, has_legacy=has_legacy)
    return respond(json(200, preview_json(found)), [("ETag", etag(found.revision))])


async def _draft(store: Store, asked: _Previewed, route: str, actor: str, now: datetime) -> Override:
    if [asked.mode is not None, asked.clear, asked.rollback].count(True) != 1:
        said = "name one of `mode`, `clear` and `rollback`"
        raise invalid([{**WHOLE_BODY, "detail": said}])
    if asked.rollback:
        return await store.overrides.planned_rollback(actor=actor, reason=asked.reason, at=now, route=route)
    change = Change(
        actor=actor,
        route=route,
        organization=stripped(asked.organization),
        mode=asked.mode,
        percent=asked.percent,
        until=end_of(asked.until, now),
        reason=asked.reason.strip(),
    )
    return store.overrides.planned(change, now)


async def _report(store: Store, route: str, table: Table, now: datetime) -> Json:
    found = await switch_found(store, route, table, now)
    evidence, reasons = found.evidence, found.verdict.reasons
    names = await names_of(store, evidence.never_compared, table.organizations.known)
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
