"""Shows the store's records of the past and of the processes: audit, requests, ambiguous calls."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from proxy import jsons
from proxy.flows.answers import json
from proxy.jsons import BadJson
from proxy.server.responses import respond
from proxy.store.audit.trail import AuditEvent
from proxy.store.rollout.processes import Process
from proxy.times import rfc3339
from proxy.values import Json, PendingCall
from proxy.web.admin.inputs import PageQuery, Whole, read_query
from proxy.web.admin.problems import Problem
from proxy.web.keys import DEPS


class _Limit(PageQuery):
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100


async def audit(request: web.Request) -> web.StreamResponse:
    """Returns the newest rows first."""
    rows = await request.app[DEPS].store.audit.newest(read_query(request, _Limit).limit)
    return respond(json(200, {"rows": [_audit_row(number, event) for number, event in rows]}))


async def verify_audit(request: web.Request) -> web.StreamResponse:
    verdict = await request.app[DEPS].store.audit.verify()
    body: Json = {
        "ok": verdict.first_bad is None,
        "rows": verdict.rows,
        "chained": verdict.chained,
        "end": verdict.end,
        "first_bad": verdict.first_bad,
        "reason": verdict.reason,
    }
    return respond(json(200, body))


async def processes(request: web.Request) -> web.StreamResponse:
    """Returns the processes that serve from this store, and the revision of each."""
    deps = request.app[DEPS]
    revision = await deps.store.overrides.revision()
    live = await deps.store.processes.live(deps.effects.clock())
    return respond(json(200, {"revision": revision, "processes": [_process(each) for each in live]}))


async def pending(request: web.Request) -> web.StreamResponse:
    """Returns calls that may have made a case that no client learned of; they are never sent again."""
    calls: list[Json] = [_pending_call(call) for call in await request.app[DEPS].store.pending()]
    return respond(json(200, {"pending": calls}))


async def explain(request: web.Request) -> web.StreamResponse:
    """Returns what happened to the requests with an id: a client may have used it more than once."""
    request_id = request.match_info["request_id"]
    # No request has had an id with other signs, and not every database can be asked for them.
    stories = await request.app[DEPS].store.stories.of(request_id) if request_id.isprintable() else []
    if not stories:
        raise Problem(404, "no stored request has this id")
    found: list[Json] = [{"at": rfc3339(each.at), "story": each.story} for each in stories]
    return respond(json(200, {"request_id": request_id, "stories": found}))


def _pending_call(call: PendingCall) -> Json:
    shown: dict[str, Json] = {"id": call.id, "kind": call.kind, "cause": call.cause, "at": rfc3339(call.at)}
    return shown | ({"case": call.made} if call.made else {})


def _audit_row(number: int, event: AuditEvent) -> Json:
    return {
        "id": number,
        "at": rfc3339(event.at),
        "actor": event.actor,
        "action": event.action,
        "subject": event.subject,
        "detail": _detail(event.detail),
    }


def _detail(text: str) -> Json:
    """Returns the row's short JSON; a row that was written by hand is shown as it is."""
    try:
        return jsons.load(text.encode()) if text else None
    except (BadJson, UnicodeEncodeError):
        return text


def _process(process: Process) -> Json:
    return {
        "id": process.id,
        "name": process.name,
        "started_at": rfc3339(process.started_at),
        "seen_at": rfc3339(process.seen_at),
        "revision": process.revision,
        "mappings": process.mappings,
        "rejected": [*process.rejected],
    }
