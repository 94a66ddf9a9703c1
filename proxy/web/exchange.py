"""The record of an answered request, for the log, metrics, ledger, audit and `explain`."""

import re
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

_NO_ROUTE: Final = "none"
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


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
    trace: str | None = None

    @property
    def has_route(self) -> bool:
        """Returns whether the path belongs to a mapping."""
        return self.route != _NO_ROUTE

    @property
    def milliseconds(self) -> int:
        return round(self.seconds * 1000)

    @property
    def side(self) -> str | None:
        """Returns the side that answered; None when no side was chosen."""
        return self.decision.side if self.decision else None

    def header(self, name: bytes) -> bytes:
        """Returns the first value of a field, by its name in lower case; b"" without one."""
        return self.headers.values(name)[0] if self.headers.has(name) else b""


def trace_id(headers: HeaderFields) -> str | None:
    """Returns the trace id of a valid `traceparent` field; None without one (W3C Trace Context, 3.2.2)."""
    values = headers.values(b"traceparent")
    found = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    if found is None or (found[1] == b"00" and found[3]):  # only later versions may have more
        return None
    return found[2].decode()


# Gets every answered request, before the client has its complete answer, so it must never wait.
Observer: TypeAlias = Callable[[Exchange], None]


def exchange_of(
    request: web.Request, draft: ExchangeDraft, response: web.StreamResponse, at: datetime, now: float
) -> Exchange:
    """Returns the complete record. `now` is monotonic, like the request's start."""
    resource = request.match_info.route.resource
    headers = HeaderFields.of(request.raw_headers)
    return Exchange(
        request_id=draft.request_id,
        at=at,
        seconds=now - draft.started,
        method=request.method,
        path=resource.canonical if resource else "unknown",
        route=draft.name,
        status=response.status,
        bytes_in=draft.body.received if draft.body is not None else 0,
        bytes_out=response.content_length or 0,
        cause=draft.cause,
        decision=draft.decision,
        calls=tuple(draft.calls),
        context=draft.context,
        headers=headers,
        trace=trace_id(headers) if headers.has(b"traceparent") else None,
    )
