"""Shows who still calls each route, and who has stopped."""

from aiohttp import web

from proxy.rollout.operations.brownouts import brownout_toml
from proxy.rollout.operations.leaving import ClientFilters, leaving
from proxy.server.responses import respond
from proxy.store.audit.call_rows import as_csv
from proxy.values import Answer
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.rendering import render

_CSV = "text/csv; charset=utf-8"


async def show(request: web.Request) -> web.StreamResponse:
    deps, table = request.app[DEPS], request.app[LIVE].now.table
    route, named, now = _route(request), request.query.get("organization", "").strip(), deps.effects.clock()
    filters = ClientFilters(
        route=route,
        scope=deps.store.sealer.organization(named) if named else None,
        silent=request.query.get("silent") == "1",
    )
    found = await leaving(deps.store, table, filters, now)
    return await render(
        request,
        "clients.html",
        found=found,
        filters=filters,
        organization=named,
        selected=next((each for each in found.routes if each.route == route), None),
        proposal=brownout_toml(route, now) if route else "",
    )


async def export(request: web.Request) -> web.StreamResponse:
    """Returns the ledger as the command `clients --csv` does, of one route or of all."""
    route = _route(request)
    calls = await request.app[DEPS].store.ledger.calls(None, route)
    name = f"clients-{route}.csv" if route else "clients.csv"
    saved = [("Content-Disposition", f'attachment; filename="{name}"')]
    return respond(Answer(200, as_csv(calls).encode(), _CSV), saved)


def _route(request: web.Request) -> str | None:
    wanted = request.query.get("route", "")
    return wanted if wanted in request.app[LIVE].now.table.routes else None
