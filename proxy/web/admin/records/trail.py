"""Shows the store's records of operators and of the processes."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from proxy.flows.answers import json
from proxy.rollout.operations.audit_list import audit_json
from proxy.server.responses import respond
from proxy.store.rollout.processes import Process
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.inputs import PageQuery, Whole, read_query
from proxy.web.cursors import Cursor, page_of
from proxy.web.keys import DEPS


class _Part(PageQuery):
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    cursor: Cursor | None = None


async def audit(request: web.Request) -> web.StreamResponse:
    """Returns the newest rows first."""
    wanted = read_query(request, _Part)
    found = await request.app[DEPS].store.audit.newest(wanted.limit + 1, wanted.cursor)
    rows, following = page_of(found, wanted.limit, lambda row: row[0])
    shown: list[Json] = [audit_json(*row) for row in rows]
    return respond(json(200, {"rows": shown, "next": following}))


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
    return respond(json(200, {"revision": revision, "processes": [process_json(each) for each in live]}))


def process_json(process: Process) -> dict[str, Json]:
    """Returns a process by its last heartbeat."""
    return {
        "id": process.id,
        "name": process.name,
        "started_at": rfc3339(process.started_at),
        "seen_at": rfc3339(process.seen_at),
        "revision": process.revision,
        "mappings": process.mappings,
        "rejected": [*process.rejected],
    }
