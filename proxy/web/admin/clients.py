"""Lists the clients that still call, from the ledger: JSON for programs, CSV for spreadsheets."""

from typing import Final

from aiohttp import web

from proxy.flows.answers import json
from proxy.headers import prefers
from proxy.server.responses import respond
from proxy.store.audit.call_rows import as_csv, row
from proxy.values import Answer
from proxy.web.admin.inputs import Day, PageQuery, in_query, read_query
from proxy.web.admin.route_names import named_route
from proxy.web.keys import DEPS

_CSV: Final = "text/csv"
_VARY: Final = (("Vary", "Accept"),)


class _Since(PageQuery):
    since: Day | None = None
    route: str | None = None


async def clients(request: web.Request) -> web.StreamResponse:
    """Returns a row for each client, day, route, mode and status, oldest first."""
    wanted = read_query(request, _Since)
    route = named_route(request, wanted.route, in_query("route"))
    calls = await request.app[DEPS].store.ledger.calls(wanted.since, route)
    if prefers(", ".join(request.headers.getall("Accept", [])), _CSV):
        body = as_csv(calls).encode()
        return respond(Answer(200, body, f"{_CSV}; charset=utf-8"), _VARY)
    return respond(json(200, {"calls": [dict(row(each)) for each in calls]}), _VARY)
