"""Routes by their names, as the mapping files in force know them."""

from aiohttp import web

from proxy.mapping.complaints import did_you_mean
from proxy.web.admin.inputs import Place
from proxy.web.admin.problems import Problem, invalid
from proxy.web.keys import LIVE


def route_in_path(request: web.Request) -> str:
    """404 for one that there isn't."""
    route = request.match_info["route"]
    if route not in request.app[LIVE].now.table.routes:
        raise Problem(404, _unknown(request, route))
    return route


def known_route(request: web.Request, route: str | None, place: Place) -> str | None:
    """The route, if one is named; `place` is where."""
    if route is not None and route not in request.app[LIVE].now.table.routes:
        raise invalid([{**place, "detail": _unknown(request, route)}])
    return route


def _unknown(request: web.Request, route: str) -> str:
    return f"there is no such route{did_you_mean(route, request.app[LIVE].now.table.routes)}"
