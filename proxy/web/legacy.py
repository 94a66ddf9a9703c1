"""The one handler of all legacy routes: from a request to its flow, and from the answer to a response."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web

from proxy.errors import Refusal
from proxy.mapping.models import RouteMapping
from proxy.values import Inbound
from proxy.web.body import RequestBody
from proxy.web.flows import FLOWS
from proxy.web.keys import BODY, DEPS, REQUEST_ID, ROUTE, STARTED, TABLE
from proxy.web.responses import allowed, notice_headers, respond


def add_legacy_routes(app: web.Application) -> None:
    """Every path of the table, and with an id in the path also the path without one (CONTRACT Q02)."""
    for name, route in app[TABLE].routes.items():
        path = route.mapping.path
        handler = _handler(name)
        bare = path.removesuffix("/{id}")
        # aiohttp's own pattern for an id leaves out braces: such an id would be no route (CONTRACT G03).
        paths = [path] if bare == path else [f"{bare}/{{id:[^/]+}}", bare, f"{bare}/"]
        for each in paths:
            app.router.add_route("*", each, handler, expect_handler=go_on)


def _handler(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        # One snapshot of the table, kept to the end of the request.
        route = request[ROUTE] = request.app[TABLE].routes[name]
        mapping: RouteMapping = route.mapping
        if request.method not in allowed(mapping):
            raise Refusal("wrong_method", "wrong-method")
        if mapping.mode == "off":
            raise Refusal("off", "route-off")
        inbound = _inbound(request, mapping)
        async with asyncio.timeout(mapping.timeout.total_seconds()):
            answer = await FLOWS[name].run(inbound, route, request.app[DEPS])
        return respond(answer, notice_headers(mapping.notice))

    return handle


async def go_on(request: web.Request) -> None:
    """Sends for a body that is held back. Any other expectation may be ignored (RFC 9110, section 10.1.1);
    aiohttp would quote it in an answer that no mapping knows."""
    if request.version >= HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _inbound(request: web.Request, mapping: RouteMapping) -> Inbound:
    body = request[BODY] = RequestBody(request, mapping.body_limit)
    return Inbound(
        legacy_id=request.match_info.get("id", ""),
        headers=request.raw_headers,
        query=dict(request.rel_url.query),
        body=body,
        request_id=request[REQUEST_ID],
        started=request[STARTED],
    )
