"""The paths of the admin API, under one prefix, and its own description (contracts/admin.yaml)."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from proxy import shipped
from proxy.server.responses import respond
from proxy.values import Answer
from proxy.web.admin import clients, evidence, overrides, routes, series, switching
from proxy.web.admin.records import pending, requests, trail
from proxy.web.resources import Handle, serve
from proxy.web.state import system
from proxy.web.stream import answer as stream

_PREFIX: Final = "/admin/v1"
_YAML: Final = "application/yaml"  # RFC 9512


async def _describe(_request: web.Request) -> web.StreamResponse:
    return respond(Answer(200, await asyncio.to_thread(_description), _YAML))


def _description() -> bytes:
    return (shipped.descriptions() / "admin.yaml").read_bytes()


_RESOURCES: Final[Mapping[str, Mapping[str, Handle]]] = {
    "/routes": {"GET": routes.show},
    "/overrides": {"GET": overrides.show},
    # Before the next path, which would take it for a route of this name.
    "/overrides/{route}:preview": {"POST": switching.preview},
    "/overrides/{route}": {"PUT": overrides.put, "DELETE": overrides.delete},
    "/rollback": {"POST": overrides.roll_back},
    "/history": {"GET": overrides.history},
    "/processes": {"GET": trail.processes},
    "/mappings/reload": {"POST": routes.reload},
    "/audit": {"GET": trail.audit},
    "/audit/verify": {"GET": trail.verify_audit},
    "/comparisons": {"GET": evidence.comparisons},
    "/differences": {"GET": evidence.differences},
    "/differences:explain": {"POST": evidence.explain_difference},
    "/learned": {"GET": evidence.learned},
    "/series": {"GET": series.show},
    "/clients": {"GET": clients.clients},
    "/organizations": {"GET": clients.organizations},
    "/can-switch/{route}": {"GET": switching.show},
    "/requests": {"GET": requests.search},
    # A request's id may hold slashes.
    "/requests/{request_id:.+}": {"GET": requests.explain},
    "/pending": {"GET": pending.show},
    "/pending/{call_id:[A-Za-z0-9_-]+}:resolve": {"POST": pending.resolve},
    "/events": {"GET": stream.show},
    "/system": {"GET": system.show},
    "/openapi.yaml": {"GET": _describe},
}


def serve_api(app: web.Application) -> None:
    for path, methods in _RESOURCES.items():
        serve(app, _PREFIX + path, methods)
