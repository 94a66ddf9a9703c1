"""Serves paths and their methods; another method gets the list of them, another path a 404."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from aiohttp import web

from proxy.web.admin.problems import Problem
from proxy.web.expect import go_on_later

Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ELSE: Final = "/{path:.*}"


def serve(app: web.Application, path: str, methods: Mapping[str, Handle]) -> None:
    """Serves the methods of a path, and HEAD with GET."""
    served = {**methods, **({"HEAD": methods["GET"]} if "GET" in methods else {})}
    allowed = ", ".join(sorted(served))

    async def handle(request: web.Request) -> web.StreamResponse:
        method = served.get(request.method)
        if method is None:
            raise Problem(405, f"this path takes {allowed}", headers={"Allow": allowed})
        return await method(request)

    # aiohttp would answer an unknown expectation itself, before any middleware.
    app.router.add_route("*", path, handle, expect_handler=go_on_later)


def serve_nothing_else(app: web.Application) -> None:
    """Answers all other paths with 404; call it last."""
    app.router.add_route("*", _ELSE, _nothing, expect_handler=go_on_later)


async def _nothing(_request: web.Request) -> web.StreamResponse:
    raise Problem(404, "there is nothing at this path")


def template(request: web.Request) -> str:
    """Returns the path as it was registered, without a request's own values; "" for an unknown path."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource else ""
    return "" if path == "/{path}" else path
