"""Makes spans of answered requests and finished calls, by the semantic conventions of HTTP.

A span has codes, templates and numbers only: no URL, path with an id, query, header, body, text of an
exception, or name of a user or an organization.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from proxy.observe.tracing import Span, Tracing
from proxy.upstream.call import CallRecord
from proxy.upstream.trace_context import RANDOM, SAMPLED, TraceContext
from proxy.web.exchange import NO_PATH, Exchange

# Any other token is a client's text.
_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def begun(came: TraceContext | None, tracing: Tracing) -> TraceContext | None:
    """Returns the context of a request that came with `came`; without tracing it is the caller's own."""
    if not tracing.is_on:
        return came
    if came is None:
        trace_id, parent_id, flags, state = tracing.new_id(16), None, RANDOM, ""
    else:
        trace_id, parent_id, flags, state = came.trace_id, came.span_id, came.flags, came.state
    sampled = tracing.samples(trace_id, parent_id, parent_is_sampled=came is not None and came.is_sampled)
    flags = flags & ~SAMPLED | (SAMPLED if sampled else 0)
    return TraceContext(trace_id, tracing.new_id(8), flags, parent_id, state, is_ours=True)


def server_span(exchange: Exchange, context: TraceContext) -> Span:
    """Returns the span of an answered request."""
    method = _method(exchange.method)
    found: dict[str, str | int | None] = {
        "http.request.method": method,
        "http.route": None if exchange.path == NO_PATH else exchange.path,
        "http.response.status_code": exchange.status,
        "error.type": exchange.cause or (str(exchange.status) if exchange.status >= 500 else None),
    }
    if exchange.decision is not None:
        in_force = exchange.decision.in_force
        found |= {
            "michiq.mode": in_force.mode,
            "michiq.side": exchange.decision.side,
            "michiq.revision": in_force.revision,
        }
    return Span(
        _name(method, found["http.route"]),
        "server",
        context.trace_id,
        context.span_id,
        context.parent_id,
        exchange.at,
        timedelta(seconds=exchange.seconds),
        _present(found),
        has_failed=exchange.status >= 500,
    )


def client_span(
    call: CallRecord, context: TraceContext, span_id: str, hosts: Mapping[str, str], at: datetime
) -> Span:
    """Returns the span of a call that has ended `at` this time; `hosts` has each upstream's host."""
    method = _method(call.method)
    found: dict[str, str | int | None] = {
        "http.request.method": method,
        "url.template": call.path if call.path.startswith("/") else None,
        "http.response.status_code": call.status,
        "error.type": call.cause or (str(call.status) if call.status and call.status >= 400 else None),
        "server.address": hosts.get(call.upstream),
        "michiq.upstream": call.upstream,
    }
    return Span(
        _name(method, found["url.template"]),
        "client",
        context.trace_id,
        span_id,
        context.span_id,
        at,
        timedelta(milliseconds=call.milliseconds),
        _present(found),
        has_failed="error.type" in _present(found),
    )


def _method(method: str) -> str:
    return method if method in _METHODS else "_OTHER"


def _name(method: str, template: str | int | None) -> str:
    shown = "HTTP" if method == "_OTHER" else method
    return shown if template is None else f"{shown} {template}"


def _present(found: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in found.items() if value is not None}
