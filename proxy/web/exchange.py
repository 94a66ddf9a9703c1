"""The record of an answered request, for the log, metrics, ledger, audit and `explain`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from aiohttp import web

from proxy.headers import HeaderFields
from proxy.inbound.body import RequestBody
from proxy.mapping.table import Route
from proxy.rollout.decide import Decision
from proxy.rollout.lookup import RequestContext
from proxy.upstream.call import CallRecord
from proxy.upstream.trace_context import TraceContext

_NO_ROUTE: Final = "none"
NO_PATH: Final = "unknown"  # the template of a path that no route has


@dataclass(slots=True)
class ExchangeDraft:
    """An unfinished record, of a request that is under way: its handlers fill it in.

    `started` is monotonic. `route` is from the table at the time when the request came in. `name` is the
    mapping's name, "none" for a path without a mapping. `cause` is the code of a refusal's reason.
    """

    request_id: str
    started: float
    name: str = _NO_ROUTE
    route: Route[Any] | None = None
    context: RequestContext | None = field(default=None, repr=False)
    decision: Decision | None = None
    body: RequestBody | None = None
    cause: str | None = None
    trace: TraceContext | None = None
    calls: list[CallRecord] = field(default_factory=list)


DRAFT: Final = web.RequestKey("draft", ExchangeDraft)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answered request. `path` is the router's template, `route` the mapping's name or "none".

    `trace` is the id of the client's trace, from a valid `traceparent` (W3C Trace Context).
    """

    request_id: str
    at: datetime
    seconds: float
    method: str
    path: str
    route: str
    status: int
    bytes_in: int
    bytes_out: int
    cause: str | None
    decision: Decision | None
    calls: Sequence[CallRecord]
    context: RequestContext | None = field(repr=False)
    headers: HeaderFields = field(repr=False)
    trace: TraceContext | None = None

    @property
    def has_route(self) -> bool:
        """Returns whether the path belongs to a mapping."""
        return self.route != _NO_ROUTE

    @property
    def milliseconds(self) -> int:
        return round(self.seconds * 1000)

    @property
    def trace_id(self) -> str | None:
        """Returns the id of the trace that the request belongs to (W3C Trace Context), if it does."""
        return self.trace.trace_id if self.trace else None

    @property
    def side(self) -> str | None:
        """Returns the side that answered; None when no side was chosen."""
        return self.decision.side if self.decision else None

    def header(self, name: bytes) -> bytes:
        """Returns the first value of a field, by its name in lower case; b"" without one."""
        return self.headers.values(name)[0] if self.headers.has(name) else b""


# Gets every answered request, before the client has its complete answer, so it must never wait.
Observer: TypeAlias = Callable[[Exchange], None]


def exchange_of(
    request: web.Request, draft: ExchangeDraft, response: web.StreamResponse, at: datetime, now: float
) -> Exchange:
    """Returns the complete record. `now` is monotonic, like the request's start."""
    resource = request.match_info.route.resource
    return Exchange(
        request_id=draft.request_id,
        at=at,
        seconds=now - draft.started,
        method=request.method,
        path=resource.canonical if resource else NO_PATH,
        route=draft.name,
        status=response.status,
        bytes_in=draft.body.received if draft.body is not None else 0,
        bytes_out=response.content_length or 0,
        cause=draft.cause,
        decision=draft.decision,
        calls=tuple(draft.calls),
        context=draft.context,
        headers=HeaderFields.of(request.raw_headers),
        trace=draft.trace,
    )
