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

_PREFIX: Final = "/admin/v1"
_YAML: Final = "application/yaml"  # RFC 9512


async def _describe(_request: web.Request) -> web.StreamResponse:
    return respond(Answer(200, await asyncio.to_thread(_description), _YAML))


def _description() -> bytes:
    return (shipped.descriptions() / "admin.yaml").read_bytes()


_RESOURCES: Final[Mapping[str, Mapping[str, Handle]]] = {
    "/routes": {"GET": routes.show},
    "/overrides": {"GET": overrides.show},
    "/overrides/{route}": {"PUT": overrides.put, "DELETE": overrides.delete},
    "/rollback": {"POST": overrides.roll_back},
    "/history": {"GET": overrides.history},
    "/processes": {"GET": trail.processes},
    "/mappings/reload": {"POST": routes.reload},
    "/audit": {"GET": trail.audit},
    "/audit/verify": {"GET": trail.verify_audit},
    "/comparisons": {"GET": evidence.comparisons},
    "/differences": {"GET": evidence.differences},
    "/learned": {"GET": evidence.learned},
    "/series": {"GET": series.show},
    "/clients": {"GET": clients.clients},
    "/can-switch/{route}": {"GET": switching.show},
    "/requests": {"GET": requests.search},
    # A request's id may hold slashes.
    "/requests/{request_id:.+}": {"GET": requests.explain},
    "/pending": {"GET": pending.show},
    "/pending/{call_id:[A-Za-z0-9_-]+}:resolve": {"POST": pending.resolve},
    "/openapi.yaml": {"GET": _describe},
}


def serve_api(app: web.Application) -> None:
    for path, methods in _RESOURCES.items():
        serve(app, _PREFIX + path, methods)
