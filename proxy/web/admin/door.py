"""The middlewares of the admin listener: a request's id, its log line, and the check of its token."""

from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.web.admin.keys import ACTOR, REQUEST_ID, TOKENS
from proxy.web.admin.problems import Problem
from proxy.web.admin.tokens import BadLogin
from proxy.web.keys import DEPS
from proxy.web.resources import template

SAFE: Final = ("GET", "HEAD")

_CHALLENGE: Final = 'Bearer realm="michiq-proxy admin"'
_HINTS: Final = {
    "missing": "send `Authorization: Bearer TOKEN` with a token of MICHIQ_ADMIN_TOKENS",
    "malformed": "the Authorization header is not one bearer token",
    "unknown": "no operator has this token",
}

_log: Final = structlog.get_logger("proxy.admin")


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the request its id, as the outermost middleware; no answer but a static file may be cached."""
    request_id = request[REQUEST_ID] = request.app[DEPS].effects.new_id()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    response = await handler(request)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Request-ID"] = request_id
    if ACTOR in request and not _looks(request):
        _log.info(
            "admin_request",
            actor=request[ACTOR],
            method=request.method,
            path=template(request),
            status=response.status,
        )
    return response


@web.middleware
async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets an operator into the API; the probes of load balancers and containers are open."""
    if _open(request):
        return await handler(request)
    tokens = request.app[TOKENS]
    if not tokens:
        raise Problem(404, "the admin API is closed: MICHIQ_ADMIN_TOKENS is not set", kind="closed")
    try:
        operator = tokens.owner(request.raw_headers)
    except BadLogin as bad:
        _log.warning("admin_login_failed", fault=bad.fault, path=template(request), peer=request.remote)
        challenge = _CHALLENGE if bad.fault == "missing" else f'{_CHALLENGE}, error="invalid_token"'
        raise Problem(401, _HINTS[bad.fault], headers={"WWW-Authenticate": challenge}) from None
    request[ACTOR] = operator.name
    if operator.reads_only and request.method not in SAFE:
        raise Problem(403, "this token only reads: it ends in `:read` in MICHIQ_ADMIN_TOKENS")
    return await handler(request)


def _looks(request: web.Request) -> bool:
    """Returns whether a request is a view of the page: an open one asks every few seconds."""
    return _open(request) and request.method in SAFE


def _open(request: web.Request) -> bool:
    """Returns whether a path is open to all: decided by its resource, not by the path's spelling."""
    path = template(request)
    return not (path or request.path).startswith("/admin")
