"""The paths of the operator's page."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from proxy.web.expect import go_on_later
from proxy.web.page import login, static
from proxy.web.page.access import Resource, nothing, serve_resource
from proxy.web.page.brake import BRAKE, LoginBrake
from proxy.web.page.keys import PAGE, Page
from proxy.web.page.views import (
    audit,
    change,
    charts,
    clients,
    contract,
    differences,
    live,
    now,
    pending,
    requests,
    route,
    system,
)
from proxy.web.resources import Handle

# A row a path; an operator who only reads may not POST here.
_VIEWS: Final[Mapping[str, Mapping[str, Handle]]] = {
    "/": {"GET": now.show},
    "/series.json": {"GET": charts.show},
    "/differences": {"GET": differences.show, "POST": differences.explain},
    "/requests": {"GET": requests.show},
    "/requests/{request_id:.+}": {"GET": requests.show_one},
    "/pending": {"GET": pending.show, "POST": pending.resolve},
    "/events": {"GET": live.show},
    "/system": {"GET": system.show},
    "/system/reload": {"POST": system.reload},
    "/system/roll": {"POST": system.roll},
    "/system/bundle": {"GET": system.download},
    "/contract": {"GET": contract.show},
    "/clients": {"GET": clients.show},
    "/clients.csv": {"GET": clients.export},
    "/audit": {"GET": audit.show, "POST": audit.verify},
    "/audit.jsonl": {"GET": audit.export},
    "/routes/{route}": {"GET": route.show},
    "/routes/{route}/change": {"GET": change.show, "POST": change.make},
    "/routes/{route}/undo": {"POST": change.undo},
}

_OTHERS: Final[Mapping[str, Resource]] = {
    "/login": Resource({"GET": login.show, "POST": login.log_in}, is_open=True),
    "/logout": Resource({"POST": login.log_out}, for_readers=True),
    "/language": Resource({"POST": login.switch_language}, is_open=True),
    f"{static.PREFIX}{{path:.+}}": Resource({"GET": static.show}, is_open=True),
}


def serve_page(app: web.Application, page: Page) -> None:
    """Serves the page, and answers all other paths with 404; call it last."""
    app[PAGE], app[BRAKE], app[audit.VERIFYING] = page, LoginBrake(), asyncio.Lock()
    for path, methods in _VIEWS.items():
        serve_resource(app, path, Resource(methods))
    for path, resource in _OTHERS.items():
        serve_resource(app, path, resource)
    app.router.add_route("*", "/{path:.*}", nothing, expect_handler=go_on_later)
