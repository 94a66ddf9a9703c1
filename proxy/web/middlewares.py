"""The middlewares of every request: they set its id, report it, and turn errors into answers."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.errors import Refusal
from proxy.flows.answers import text
from proxy.flows.deps import Deps
from proxy.flows.refusals import CAUSE_HEADER, refused
from proxy.headers import HeaderFields
from proxy.rollout.decide import InBrownout
from proxy.server.responses import plain, respond
from proxy.store import StoreError
from proxy.store.records.sessions import SessionGone
from proxy.upstream.call_log import CALLS
from proxy.upstream.trace_context import CONTEXT, TraceContext, read_trace_context
from proxy.web.cors import granted
from proxy.web.exchange import DRAFT, ExchangeDraft, Observer, exchange_of
from proxy.web.keys import DEPS
from proxy.web.notices import notice_headers
from proxy.web.spans import begun

# The ids that clients may send; other characters could break a log line apart (CONTRACT G09).
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

# The errors of a path without a mapping when the legacy server doesn't answer; the statuses are the same as
# for mapped routes (CONTRACT G08).
_UNMAPPED: Final = {
    "malformed": (400, "Bad Request"),
    "legacy_unreachable": (502, "Bad Gateway"),
    "legacy_timeout": (504, "Gateway Timeout"),
}

_log: Final = structlog.get_logger("proxy.web")


def identify(deps: Deps, observers: Sequence[Observer]) -> Middleware:
    """Makes the outermost middleware: it sets the request's id and start, and calls the observers."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _given_id(request) or deps.effects.new_id()
        draft = request[DRAFT] = ExchangeDraft(request_id, deps.effects.monotonic())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        trace = draft.trace = begun(_given_trace(request), deps.tracing)
        CONTEXT.set(trace)
        if trace is not None:
            structlog.contextvars.bind_contextvars(trace_id=trace.trace_id)
        CALLS.set(draft.calls)
        response = await handler(request)
        response.headers["X-Request-ID"] = request_id
        exchange = exchange_of(request, draft, response, deps.effects.clock(), deps.effects.monotonic())
        for observer in observers:
            observer(exchange)
        return response

    return middleware


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns a handler's error into the answer that the route's mapping has for it."""
    try:
        return await handler(request)
    except InBrownout as brownout:
        response = _refuse(request, brownout.kind, brownout.cause)
        wait = brownout.until - request.app[DEPS].effects.clock()
        response.headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
        return response
    except Refusal as refusal:
        return _refuse(request, refusal.kind, refusal.cause)
    except TimeoutError:
        return _refuse(request, "failed", "out-of-time")
    except SessionGone:
        return _refuse(request, "unauthorized", "session-gone")
    except StoreError as error:
        _log.exception("store_failed", cause=error.cause)
        return _refuse(request, "failed", error.cause)
    except web.HTTPException as error:
        response = plain(error.status, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response


def catch_all(answer: Callable[[web.Request], web.StreamResponse]) -> Middleware:
    """Makes the middleware that catches every exception: the client gets the documented 500."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception:  # noqa: BLE001  a fault can have any type
            _log.exception("request_failed")
            return answer(request)

    return middleware


def failed(request: web.Request) -> web.Response:
    """Returns the legacy routes' answer to a fault of the proxy itself."""
    return _refuse(request, "failed", "internal")


def _refuse(request: web.Request, kind: str, cause: str) -> web.Response:
    draft = request[DRAFT]
    draft.cause = cause
    if draft.route is None:
        status, sentence = _UNMAPPED.get(kind, (500, "Internal Server Error"))
        return respond(text(status, sentence, ((CAUSE_HEADER, cause),)))
    mapping = draft.route.mapping
    answer = refused(mapping, kind, cause)
    return respond(answer, (*notice_headers(mapping.notice), *granted(request.headers, mapping)))


def _given_id(request: web.Request) -> str | None:
    values = HeaderFields.of(request.raw_headers).values(b"x-request-id")
    return values[0].decode("ascii") if len(values) == 1 and _SANE_ID.fullmatch(values[0]) else None


def _given_trace(request: web.Request) -> TraceContext | None:
    fields = HeaderFields.of(request.raw_headers)
    if not fields.has(b"traceparent"):
        return None
    return read_trace_context(fields.values(b"traceparent"), fields.values(b"tracestate"))
