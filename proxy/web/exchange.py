"""The one record of an answered request: all that log, metrics, ledger, audit and `explain` get to see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from aiohttp import web

from proxy.dispatch.decide import Decision
from proxy.headers import HeaderFields
from proxy.mapping.table import Route
from proxy.upstream.call import CallRecord
from proxy.web.body import RequestBody
from proxy.web.known import Known

_NO_ROUTE: Final = "none"


@dataclass(slots=True)
class Draft:
    """An exchange whose request is under way: what its handlers have found out so far.

    `started` is monotonic. `route` is the route as its table was when the request came in, `name` its
    mapping's, "none" for a path that no mapping names. `cause` says why the request was refused.
    """

    request_id: str
    started: float
    name: str = _NO_ROUTE
    route: Route[Any] | None = None
    known: Known | None = field(default=None, repr=False)
    decision: Decision | None = None
    body: RequestBody | None = None
    cause: str | None = None
    calls: list[CallRecord] = field(default_factory=list)


DRAFT: Final = web.RequestKey("draft", Draft)


@dataclass(frozen=True, slots=True)
class Exchange:
    """`path` is the template that the router knows, `route` the name of the mapping, "none" without one."""

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
    known: Known | None = field(repr=False)
    headers: HeaderFields = field(repr=False)

    @property
    def has_route(self) -> bool:
        """Whether a mapping names the path."""
        return self.route != _NO_ROUTE

    @property
    def milliseconds(self) -> int:
        return round(self.seconds * 1000)

    @property
    def side(self) -> str | None:
        """Who answered; None where that was never decided."""
        return self.decision.side if self.decision else None

    def header(self, name: bytes) -> bytes:
        """The first value of this field, by its name in lower case; b"" without one."""
        return self.headers.values(name)[0] if self.headers.has(name) else b""


# Gets every answered request, before the client has the last of its answer; it never waits.
Observer: TypeAlias = Callable[[Exchange], None]


def exchange_of(
    request: web.Request, draft: Draft, response: web.StreamResponse, at: datetime, now: float
) -> Exchange:
    """Returns the whole record. `now` is monotonic, as the request's start is."""
    resource = request.match_info.route.resource
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
        known=draft.known,
        headers=HeaderFields.of(request.raw_headers),
    )
