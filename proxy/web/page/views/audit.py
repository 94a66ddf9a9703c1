"""Shows the audit: who did what, and whether its chain is whole."""

import asyncio
from typing import Final

import structlog
from aiohttp import web
from yarl import URL

from proxy import jsons
from proxy.rollout.operations.audit_list import (
    ALL,
    NAMES,
    AskedAudit,
    audit_json,
    audit_rows,
    read_audit_filters,
)
from proxy.server.responses import Streamed
from proxy.store import StoreError
from proxy.store.audit.chain import AuditVerdict
from proxy.store.audit.trail_search import AuditPart
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.access import HEADERS
from proxy.web.page.rendering import render

VERIFYING: Final = web.AppKey("verifying", asyncio.Lock)

_LIMIT: Final = 50
_EXPORTED: Final = 1000  # rows of one read
_LINES: Final = "application/jsonl; charset=utf-8"

_log: Final = structlog.get_logger("proxy.page")


async def show(request: web.Request) -> web.StreamResponse:
    return await _shown(request, None)


async def verify(request: web.Request) -> web.StreamResponse:
    """Checks the whole chain, which reads every row: one check at a time."""
    async with request.app[VERIFYING]:
        verdict = await request.app[DEPS].store.audit.verify()
    return await _shown(request, verdict)


async def export(request: web.Request) -> web.StreamResponse:
    """Streams the rows that fit the filters, newest first, a line of JSON each."""
    trail, asked, before = request.app[DEPS].store.trail, await _asked(request), _before(request)
    saved = {"Content-Type": _LINES, "Content-Disposition": 'attachment; filename="audit.jsonl"'}
    part = await trail.part(asked.filters, _EXPORTED, before)
    response = Streamed(headers={**HEADERS, **saved})
    await response.prepare(request)
    if request.method != "HEAD":
        await response.write(_as_jsonl(part))
        while part.before is not None:
            try:
                part = await trail.part(asked.filters, _EXPORTED, part.before)
            except StoreError:
                _log.exception("audit_export_cut")
                _cut(request)  # a whole file must not seem to end here
                break
            await response.write(_as_jsonl(part))
    return response


def _as_jsonl(part: AuditPart) -> bytes:
    return b"".join(jsons.dump(audit_json(*row)) + b"\n" for row in part.rows)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _shown(request: web.Request, verdict: AuditVerdict | None) -> web.StreamResponse:
    store, table = request.app[DEPS].store, request.app[LIVE].now.table
    actions, asked = await store.trail.actions(), await _asked(request)
    part = await store.trail.part(asked.filters, _LIMIT, _before(request))
    given = {name: request.query[name] for name in NAMES if request.query.get(name)}
    here = URL("/audit")
    return await render(
        request,
        "audit.html",
        rows=await audit_rows(store, part.rows, table.organizations.known),
        given=given,
        unread=asked.unread,
        actions=actions,
        all_actions=ALL,
        routes=[*table.routes],
        end=await store.trail.end(),
        verdict=verdict,
        older=str(here.with_query({**given, "before": str(part.before)})) if part.before else "",
        exported=str(URL("/audit.jsonl").with_query(given)),
    )


async def _asked(request: web.Request) -> AskedAudit:
    deps, routes = request.app[DEPS], request.app[LIVE].now.table.routes
    actions = await deps.store.trail.actions()
    return read_audit_filters(request.query, routes, actions, deps.store, deps.effects.clock())


def _before(request: web.Request) -> int | None:
    wanted = request.query.get("before", "")
    return int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) <= 18 else None
