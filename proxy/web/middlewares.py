"""Around every request: its id and access line, and the one place where an error becomes an answer."""

import re
from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.errors import Refusal
from proxy.observe.logs import access
from proxy.web.keys import BODY, CAUSE, DEPS, REQUEST_ID, ROUTE, STARTED
from proxy.web.responses import notice_headers, plain, refused, respond

# As a client may name its own request; anything else could break a log line apart (CONTRACT G09).
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

_log: Final = structlog.get_logger("proxy.web")


def identify(new_id: Callable[[], str]) -> Middleware:
    """The outermost middleware: gives the request its id and clock, and writes its access line."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        deps = request.app[DEPS]
        request[REQUEST_ID] = _given_id(request) or new_id()
        request[STARTED] = deps.monotonic()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request[REQUEST_ID])
        response = await handler(request)
        response.headers["X-Request-ID"] = request[REQUEST_ID]
        resource = request.match_info.route.resource
        access(
            route=resource.canonical if resource else "unknown",
            method=request.method,
            status=response.status,
            bytes_in=request[BODY].received if BODY in request else 0,
            bytes_out=response.content_length or 0,
            milliseconds=round((deps.monotonic() - request[STARTED]) * 1000),
            cause=request.get(CAUSE),
        )
        return response

    return middleware


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into the answer that the route's mapping has for it."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refuse(request, refusal.kind, refusal.cause)
    except TimeoutError:
        return _refuse(request, "failed", "out-of-time")
    except web.HTTPException as error:
        response = plain(error.status, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:  # noqa: BLE001  a client gets the documented 500 whatever went wrong in here
        _log.exception("request_failed")
        return _refuse(request, "failed", "internal")


def _refuse(request: web.Request, kind: str, cause: str) -> web.Response:
    request[CAUSE] = cause
    if ROUTE not in request:
        return plain(500, "Internal Server Error")
    mapping = request[ROUTE].mapping
    answer = refused(mapping, kind, cause)
    return respond(answer, notice_headers(mapping.notice))


def _given_id(request: web.Request) -> str | None:
    values = [value for name, value in request.raw_headers if name.lower() == b"x-request-id"]
    return values[0].decode() if len(values) == 1 and _SANE_ID.fullmatch(values[0]) else None
