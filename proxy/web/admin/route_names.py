"""Looks routes up by their names, in the mapping files in force."""

from aiohttp import web

from proxy.mapping.complaints import did_you_mean
from proxy.web.admin.inputs import Location
from proxy.web.admin.problems import Problem, invalid
from proxy.web.keys import LIVE


def route_in_path(request: web.Request) -> str:
    """Returns the route that the path names; raises Problem with 404 if there is none."""
    route = request.match_info["route"]
    if route not in request.app[LIVE].now.table.routes:
        raise Problem(404, _unknown(request, route))
    return route


def named_route(request: web.Request, route: str | None, location: Location) -> str | None:
    """Returns the route, if one is named; raises Problem with `location`, its location, if there is none."""
    if route is not None and route not in request.app[LIVE].now.table.routes:
        raise invalid([{**location, "detail": _unknown(request, route)}])
    return route


def _unknown(request: web.Request, route: str) -> str:
    return f"there is no such route{did_you_mean(route, request.app[LIVE].now.table.routes)}"
