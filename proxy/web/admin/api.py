"""The paths of the admin API, under one prefix."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from proxy.web.admin import clients, description, evidence, overrides, records, routes, switching
from proxy.web.resources import Handle, serve

_PREFIX: Final = "/admin/v1"

_RESOURCES: Final[Mapping[str, Mapping[str, Handle]]] = {
    "/routes": {"GET": routes.show},
    "/overrides": {"GET": overrides.show},
    "/overrides/{route}": {"PUT": overrides.put, "DELETE": overrides.delete},
    "/rollback": {"POST": overrides.roll_back},
    "/history": {"GET": overrides.history},
    "/processes": {"GET": records.processes},
    "/mappings/reload": {"POST": routes.reload},
    "/audit": {"GET": records.audit},
    "/audit/verify": {"GET": records.verify_audit},
    "/comparisons": {"GET": evidence.comparisons},
    "/differences": {"GET": evidence.differences},
    "/differences:explain": {"POST": evidence.explain_difference},
    "/learned": {"GET": evidence.learned},
    "/clients": {"GET": clients.clients},
    "/can-switch/{route}": {"GET": switching.show},
    # A request's id may hold slashes.
    "/requests/{request_id:.+}": {"GET": records.explain},
    "/pending": {"GET": records.pending},
    "/openapi.yaml": {"GET": description.show},
}


def serve_api(app: web.Application) -> None:
    for path, methods in _RESOURCES.items():
        serve(app, _PREFIX + path, methods)
