"""Shows which side answers each route now."""

from aiohttp import web

from proxy.rollout.operations.overview import routes_now
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.rendering import render


async def show(request: web.Request) -> web.StreamResponse:
    live = request.app[LIVE]
    rows = routes_now(live.now, request.app[DEPS].effects.clock())
    return await render(request, "now.html", routes=rows, rejected=live.rejected)
