"""Paths and their methods: any other method is told which there are, any other path that there is none."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from aiohttp import web

from proxy.web.admin.problems import Problem
from proxy.web.legacy import go_on_later

Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ELSE: Final = "/{path:.*}"


def serve(app: web.Application, path: str, methods: Mapping[str, Handle]) -> None:
    """HEAD is served where GET is."""
    known = {**methods, **({"HEAD": methods["GET"]} if "GET" in methods else {})}
    allowed = ", ".join(sorted(known))

    async def handle(request: web.Request) -> web.StreamResponse:
        method = known.get(request.method)
        if method is None:
            raise Problem(405, f"this path takes {allowed}", headers={"Allow": allowed})
        return await method(request)

    # aiohttp would answer an expectation that it doesn't know itself, before any middleware.
    app.router.add_route("*", path, handle, expect_handler=go_on_later)


def serve_nothing_else(app: web.Application) -> None:
    """After all others."""
    app.router.add_route("*", _ELSE, _nothing, expect_handler=go_on_later)


async def _nothing(_request: web.Request) -> web.StreamResponse:
    raise Problem(404, "there is nothing at this path")


def template(request: web.Request) -> str:
    """The path as it was registered, without what a request put in; "" where nothing is."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource else ""
    return "" if path == "/{path}" else path
