"""Lists the clients that still call, from the ledger, and the organizations of one route."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from proxy.flows.answers import json
from proxy.headers import prefers
from proxy.rollout.preview.roster import organizations_of
from proxy.rollout.preview.rows import listed_json
from proxy.server.responses import respond
from proxy.store.audit.call_rows import as_csv, row
from proxy.values import Answer, Json
from proxy.web.admin.inputs import Day, PageQuery, Whole, in_query, read_query
from proxy.web.admin.keys import FOLLOWER
from proxy.web.admin.route_names import named_route
from proxy.web.keys import DEPS, LIVE

_CSV: Final = "text/csv"
_VARY: Final = (("Vary", "Accept"),)


class _Since(PageQuery):
    since: Day | None = None
    route: str | None = None


class _Page(PageQuery):
    route: str
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


async def clients(request: web.Request) -> web.StreamResponse:
    """Returns a row for each client, day, route, mode and status, oldest first."""
    wanted = read_query(request, _Since)
    route = named_route(request, wanted.route, in_query("route"))
    calls = await request.app[DEPS].store.ledger.calls(wanted.since, route)
    if prefers(", ".join(request.headers.getall("Accept", [])), _CSV):
        body = as_csv(calls).encode()
        return respond(Answer(200, body, f"{_CSV}; charset=utf-8"), _VARY)
    return respond(json(200, {"calls": [dict(row(each)) for each in calls]}), _VARY)


async def organizations(request: web.Request) -> web.StreamResponse:
    """Returns a page of a route's organizations, by their hashes, each with the side that answers it now."""
    await request.app[FOLLOWER].catch_up()
    deps, wanted = request.app[DEPS], read_query(request, _Page)
    named_route(request, wanted.route, in_query("route"))
    snapshot, has_legacy = request.app[LIVE].now, deps.upstreams.michiq is not None
    listed = await organizations_of(
        deps.store, wanted.route, snapshot, deps.effects.clock(), has_legacy=has_legacy
    )
    by_hash = sorted(listed, key=lambda each: each.organization.scope)
    later = [each for each in by_hash if each.organization.scope > (wanted.cursor or "")]
    shown = later[: wanted.limit]
    body: Json = {
        "route": wanted.route,
        "revision": snapshot.overrides.revision,
        "organizations": [listed_json(each) for each in shown],
        "next": shown[-1].organization.scope if len(later) > len(shown) else None,
    }
    return respond(json(200, body))
