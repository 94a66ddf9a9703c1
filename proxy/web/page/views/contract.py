"""Shows the last run of the contract's checks against each host, route by route."""

from aiohttp import web

from proxy.web.keys import DEPS
from proxy.web.page.rendering import render


async def show(request: web.Request) -> web.StreamResponse:
    runs = await request.app[DEPS].store.contract_runs.newest()
    return await render(request, "contract.html", runs=runs)
