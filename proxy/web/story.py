"""What is told of a request once it is answered: its story for `explain`, its visit for `clients`."""

from datetime import datetime
from typing import Final

from aiohttp import web

from proxy.dispatch.decide import Decision
from proxy.dispatch.shadow import Compared
from proxy.store.accesses import Access
from proxy.store.ledger import Visit
from proxy.store.stories import Story
from proxy.values import Json
from proxy.web.calls import call_stories
from proxy.web.keys import BODY, CAUSE, DECISION, DEPS, KNOWN, REQUEST_ID, ROUTE_NAME, STARTED

# Names that say nothing of who called; any other header is only counted.
_NAMED: Final = frozenset(
    b"accept accept-encoding api_key api-key authorization connection content-encoding content-length "
    b"content-type expect host idempotency-key organization template te transfer-encoding user-agent "
    b"user_mail user-mail via x-forwarded-for x-forwarded-host x-forwarded-proto x-michiq-tester "
    b"x-request-id".split()
)
_DIFFERENCES: Final = 20
_HASH: Final = 16  # digits, as in the log
_OWN_PROBES: Final = b"michiq-proxy"


def story(request: web.Request, status: int, bytes_out: int) -> Story:
    """Redacted by construction: names of headers, templates of paths, codes, sizes and hashes."""
    deps = request.app[DEPS]
    answered: Json = {
        "status": status,
        "bytes": bytes_out,
        "cause": request.get(CAUSE),
        "milliseconds": round((deps.monotonic() - request[STARTED]) * 1000),
    }
    told = {
        "route": request.get(ROUTE_NAME, "none"),
        "asked": _asked(request),
        "decided": _decided(request.get(DECISION)),
        "calls": call_stories(),
        "answered": answered,
    }
    return Story(request[REQUEST_ID], deps.clock(), told)


def visit(request: web.Request, status: int) -> Visit | None:
    """None for what is no legacy client's call: another path, or a probe of this project itself."""
    agent = _header(request, b"user-agent")
    if ROUTE_NAME not in request or KNOWN not in request or agent.startswith(_OWN_PROBES):
        return None
    known = request[KNOWN]
    decision = request.get(DECISION)
    return Visit(
        key=known.key or "",
        user=known.owner or "",
        organization=known.asked.organization or "",
        organization_hash=known.asked.scope or "",
        agent=agent.decode("latin-1"),
        route=request[ROUTE_NAME],
        mode=decision.in_force.mode if decision else "refused",
        status=status,
        at=request.app[DEPS].clock(),
    )


def access_of(request: web.Request, status: int) -> Access | None:
    """For the audit: an answered call of a known user on a case, or on the list of all of theirs."""
    known = request.get(KNOWN)
    if known is None or known.session is None or known.asked.makes_case or not 200 <= status < 400:
        return None
    deps, owner = request.app[DEPS], known.session.owner
    case = owner if known.legacy_id is None else deps.store.sealer.case(known.legacy_id)
    return Access(owner, case, request[ROUTE_NAME], deps.clock())


def _asked(request: web.Request) -> Json:
    names = [name.lower() for name, _ in request.raw_headers]
    known = request.get(KNOWN)
    return {
        "method": request.method if request.method in ("GET", "HEAD", "OPTIONS", "POST") else "other",
        "headers": [*sorted({name.decode() for name in names if name in _NAMED})],
        "other_headers": sum(name not in _NAMED for name in names),
        "bytes": request[BODY].received if BODY in request else 0,
        "token": known.asked.token if known else None,
        "user": known.owner[:_HASH] if known and known.owner else None,
        "organization": known.asked.scope[:_HASH] if known and known.asked.scope else None,
        "id_lives_on": known.asked.home if known else None,
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


def _header(request: web.Request, name: bytes) -> bytes:
    return next((value for key, value in request.raw_headers if key.lower() == name), b"")


def shadow_story(compared: Compared, at: datetime) -> Story:
    """What became of the candidate: the structure of the differences, never a value."""
    differences: list[Json] = [
        {"path": each.path, "kind": each.kind, "control": each.control.type, "candidate": each.candidate.type}
        for each in compared.differences[:_DIFFERENCES]
    ]
    told: Json = {"outcome": compared.outcome, "differences": differences}
    return Story(compared.job.request_id, at, {"shadow": told})
