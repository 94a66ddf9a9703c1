"""A collector of traces on a real socket: it takes OTLP over HTTP, and holds all that came."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pytest_aiohttp import AiohttpServer

PATH: Final = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Seen:
    """A span that came, its ids in hexadecimal digits."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    nanoseconds: int
    has_failed: bool
    attributes: dict[str, str | int]
    links: list[tuple[str, str]]


@dataclass
class Collector:
    """A collector, with everything that it was sent; `status` is its answer, None for no answer at all."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int | None = 200

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        if self.status is None:
            await asyncio.Event().wait()
        return web.Response(status=self.status or 200)

    @property
    def spans(self) -> list[Seen]:
        """Returns all spans that came, by their start."""
        scopes = [scope for _, scopes in self._resources() for scope in scopes]
        found = sorted(
            (span for scope in scopes for span in scope), key=lambda span: span.start_time_unix_nano
        )
        return [_seen(span) for span in found]

    @property
    def resource(self) -> dict[str, str]:
        """Returns what the first spans said of their process."""
        return self._resources()[0][0]

    def named(self, name: str, kind: str = "SERVER") -> Seen:
        """Returns the only span of this name and kind."""
        [found] = [span for span in self.spans if (span.name, span.kind) == (name, kind)]
        return found

    def _resources(self) -> list[tuple[dict[str, str], list[list[Span]]]]:
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            (
                {each.key: each.value.string_value for each in one.resource.attributes},
                [list(scope.spans) for scope in one.scope_spans],
            )
            for each_sent in sent
            for one in each_sent.resource_spans
        ]


async def collecting(aiohttp_server: AiohttpServer) -> Collector:
    """Returns a running collector that takes everything."""
    collector = Collector()
    app = web.Application()
    app.router.add_post(PATH, collector.take)
    server = await aiohttp_server(app, access_log=None, shutdown_timeout=0.1)
    collector.url = str(server.make_url("")).rstrip("/")
    return collector


def _seen(span: Span) -> Seen:
    return Seen(
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.end_time_unix_nano - span.start_time_unix_nano,
        span.status.code == span.status.STATUS_CODE_ERROR,
        {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
    )
