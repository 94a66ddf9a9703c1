"""The one record of an answered request: all that log, metrics, ledger, audit and `explain` are told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from aiohttp import web

from proxy.dispatch.decide import Decision
from proxy.upstream.call import CallRecord
from proxy.web.calls import calls_made
from proxy.web.keys import BODY, CAUSE, DECISION, KNOWN, REQUEST_ID, ROUTE_NAME, STARTED
from proxy.web.known import Known

_NO_ROUTE: Final = "none"


@dataclass(frozen=True, slots=True)
class Exchange:
    """`path` is the template that the router knows, `route` the name of the mapping, "none" without one.

    `names` are those of the request's header fields in lower case, in the order of `headers`.
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
    known: Known | None = field(repr=False)
    names: tuple[bytes, ...] = field(repr=False)
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)

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
        return self.headers[self.names.index(name)][1] if name in self.names else b""


# Is told of every answered request, before the client has the last of its answer; it never waits.
Observer: TypeAlias = Callable[[Exchange], None]


def exchange_of(request: web.Request, response: web.StreamResponse, at: datetime, now: float) -> Exchange:
    """Gathers what the request's handlers found out. `now` is monotonic, as the request's start is."""
    resource = request.match_info.route.resource
    parts, headers = request.get, request.raw_headers
    body = parts(BODY)
    return Exchange(
        request_id=request[REQUEST_ID],
        at=at,
        seconds=now - request[STARTED],
        method=request.method,
        path=resource.canonical if resource else "unknown",
        route=parts(ROUTE_NAME, _NO_ROUTE),
        status=response.status,
        bytes_in=body.received if body is not None else 0,
        bytes_out=response.content_length or 0,
        cause=parts(CAUSE),
        decision=parts(DECISION),
        calls=calls_made(),
        known=parts(KNOWN),
        names=tuple([name.lower() for name, _ in headers]),
        headers=headers,
    )
