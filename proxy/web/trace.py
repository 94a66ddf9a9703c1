"""Makes the records of an answered request: a trace for `explain`, a visit for `clients`, an access."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from proxy.rollout.decide import Decision
from proxy.store.audit.accesses import Access
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.usage import Visit
from proxy.store.sealing.sealer import short_hash
from proxy.upstream.call import CallRecord
from proxy.values import Json
from proxy.web.exchange import Exchange

# Names that do not identify a caller; any other header is only counted.
_NAMED: Final = frozenset(
    b"accept accept-encoding api_key api-key authorization connection content-encoding content-length "
    b"content-type expect host idempotency-key organization template te transfer-encoding user-agent "
    b"user_mail user-mail via x-forwarded-for x-forwarded-host x-forwarded-proto x-michiq-tester "
    b"x-request-id".split()
)
_OWN_PROBES: Final = b"michiq-proxy"
_PROGRAMS: Final = 256  # with their headers in the cache


def story(exchange: Exchange) -> RequestTrace:
    """Returns the request's trace: only header names, path templates, codes, sizes and hashes."""
    trace: Json = {
        "route": exchange.route,
        "asked": _asked(exchange),
        "decided": _decided(exchange.decision),
        "calls": [_call(call) for call in exchange.calls],
        "answered": {
            "status": exchange.status,
            "bytes": exchange.bytes_out,
            "cause": exchange.cause,
            "milliseconds": exchange.milliseconds,
        },
    }
    context = exchange.context
    return RequestTrace(
        exchange.request_id,
        exchange.at,
        trace,
        route=exchange.route,
        organization=(context.asked.scope if context else None) or "",
        side=exchange.side or "",
        cause=exchange.cause or "",
        status=exchange.status,
        milliseconds=exchange.milliseconds,
    )


def visit(exchange: Exchange) -> Visit | None:
    """Returns the visit of a legacy client; None for another path, or a probe of this project itself."""
    context, agent = exchange.context, exchange.header(b"user-agent")
    if not exchange.has_route or context is None or agent.startswith(_OWN_PROBES):
        return None
    return Visit(
        key=context.key or "",
        user=context.owner or "",
        organization=context.asked.organization or "",
        organization_hash=context.asked.scope or "",
        agent=agent.decode("latin-1"),
        route=exchange.route,
        mode=exchange.decision.in_force.mode if exchange.decision else "refused",
        status=exchange.status,
        at=exchange.at,
        side=exchange.side or "",
    )


def access_of(exchange: Exchange, hashed: Callable[[str], str]) -> Access | None:
    """Returns the audit's access: a user's successful call on a case, or on their list; None for others.

    `hashed` returns a case's keyed hash by its id.
    """
    context = exchange.context
    if (
        context is None
        or context.session is None
        or context.asked.makes_case
        or not 200 <= exchange.status < 400
    ):
        return None
    owner = context.session.owner
    case = owner if context.legacy_id is None else hashed(context.legacy_id)
    return Access(owner, case, exchange.route, exchange.at)


def _asked(exchange: Exchange) -> Json:
    named, others = _headers(exchange.headers.names)
    context = exchange.context
    return {
        "method": exchange.method if exchange.method in ("GET", "HEAD", "OPTIONS", "POST") else "other",
        "headers": [*named],
        "other_headers": others,
        "bytes": exchange.bytes_in,
        "token": context.asked.token if context else None,
        "user": short_hash(context.owner) if context and context.owner else None,
        "organization": short_hash(context.asked.scope) if context and context.asked.scope else None,
        "id_lives_on": context.asked.home if context else None,
    }


@lru_cache(_PROGRAMS)
def _headers(names: tuple[bytes, ...]) -> tuple[tuple[str, ...], int]:
    """Returns the names that may be recorded, and the number of others.

    The result is cached: a program sends the same names each time.
    """
    listed = {name.decode() for name in names if name in _NAMED}
    return tuple(sorted(listed)), sum(name not in _NAMED for name in names)


def _call(call: CallRecord) -> Json:
    return {
        "upstream": call.upstream,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "cause": call.cause,
        "milliseconds": round(call.milliseconds),
    }


def _decided(decision: Decision | None) -> Json:
    if decision is None:
        return None
    in_force = decision.in_force
    return {
        "side": decision.side,
        "why": decision.why,
        "mode": in_force.mode,
        "percent": in_force.percent,
        "revision": in_force.revision,
        "shadowed": decision.shadow,
    }
