"""Sends spans to a collector by OTLP over HTTP; the only module that imports OpenTelemetry."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from proxy import __version__
from proxy.observe.tracing import Kind, Span

_KINDS: Final[Mapping[Kind, SpanKind]] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSET: Final = Status(StatusCode.UNSET)
_FAILED: Final = Status(StatusCode.ERROR)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_WARNING_SECONDS: Final = 60.0
_HINT: Final = "the collector of OTEL_EXPORTER_OTLP_ENDPOINT is slow, down, or refuses them"
# Their records quote URLs and answers, and come for each try.
_LOUD: Final = ("opentelemetry", "urllib3", "requests")

_log: Final = structlog.get_logger("proxy.tracing")


class OtlpExporter:
    """An exporter of `tracing`: the SDK's queue, sampler and client, which read the OTEL_* variables.

    Spans wait in a bounded queue, and a thread sends them in batches. What doesn't fit is lost, and counted.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._sampler, self._resource = provider.sampler, provider.resource
        self._scope = InstrumentationScope("michiq-proxy", __version__)
        self._most = _most_waiting(environ)
        self._sender = CountingSender(OTLPSpanExporter(), time.monotonic)
        self._processor = BatchSpanProcessor(self._sender, max_queue_size=self._most)
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def samples(self, trace_id: str, parent_id: str | None, *, parent_is_sampled: bool) -> bool:
        context = Context()
        if parent_id is not None:
            flags = TraceFlags(TraceFlags.SAMPLED if parent_is_sampled else TraceFlags.DEFAULT)
            parent = SpanContext(int(trace_id, 16), int(parent_id, 16), is_remote=True, trace_flags=flags)
            context = set_span_in_context(NonRecordingSpan(parent), context)
        result = self._sampler.should_sample(context, int(trace_id, 16), "request", SpanKind.SERVER)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def export(self, span: Span) -> None:
        if self._sender.takes(self._most):
            self._processor.on_end(self._readable(span))

    async def close(self, seconds: float) -> None:
        """Sends what waits; after `seconds` the rest is lost.

        The SDK is ended in a thread, because its end may take longer.
        """
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # the loop is closed: this came too late
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=end, name="traces-end", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
        self._sender.end()

    def _readable(self, span: Span) -> ReadableSpan:
        # Not by a Tracer: the span is over, and its ids may have gone out in a `traceparent` already.
        trace_id = int(span.trace_id, 16)
        ended = (span.ended - _EPOCH) // _MICROSECOND * 1000
        return ReadableSpan(
            span.name,
            SpanContext(trace_id, int(span.span_id, 16), is_remote=False, trace_flags=_SAMPLED),
            None if span.parent_id is None else _context(trace_id, span.parent_id),
            self._resource,
            span.attributes,
            (),
            () if span.link is None else (Link(_context(int(span.link[0], 16), span.link[1])),),
            _KINDS[span.kind],
            status=_FAILED if span.has_failed else _UNSET,
            start_time=ended - span.duration // _MICROSECOND * 1000,
            end_time=ended,
            instrumentation_scope=self._scope,
        )


class CountingSender(SpanExporter):
    """A sender around the SDK's: it counts the spans that are lost, and warns of them once a minute.

    Spans come in on the event loop and are sent in the SDK's thread; each counter has one writer.
    """

    def __init__(self, sender: SpanExporter, monotonic: Callable[[], float]) -> None:
        self._sender = sender
        self._monotonic = monotonic
        self._taken = self._refused = 0  # written by the event loop
        self._gone = self._failed = 0  # written by the sending thread
        self._warned_of = 0
        self._warned_at: float | None = None
        self._ended = False

    def takes(self, most: int) -> bool:
        """Returns whether one more span may wait, and counts it as waiting, or as lost."""
        if self._taken - self._gone >= most:
            self._refused += 1
            return False
        self._taken += 1
        return True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._sender.export(spans)
        self._gone += len(spans)
        if result is not SpanExportResult.SUCCESS:
            self._failed += len(spans)
        if not self._ended:
            self._warn(self._failed + self._refused)
        return result

    def shutdown(self) -> None:
        self._sender.shutdown()

    def end(self) -> None:
        """Stops a try that is under way, and warns of everything that was not sent."""
        self._ended = True
        if self._taken > self._gone:
            self._sender.shutdown()
        self._warned_at = None
        self._warn(self._failed + self._refused + self._taken - self._gone)

    def _warn(self, lost: int) -> None:
        now = self._monotonic()
        if lost == self._warned_of or (
            self._warned_at is not None and now - self._warned_at < _WARNING_SECONDS
        ):
            return
        _log.warning("traces_lost", spans=lost - self._warned_of, hint=_HINT)
        self._warned_of, self._warned_at = lost, now


def _context(trace_id: int, span_id: str) -> SpanContext:
    return SpanContext(trace_id, int(span_id, 16), is_remote=True, trace_flags=_SAMPLED)


def _resource() -> Resource:
    """Returns what all spans say of this process; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    ours = {
        "service.name": "michiq-proxy",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
    }
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def _most_waiting(environ: Mapping[str, str]) -> int:
    text = environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "").strip()
    return int(text) if text else 2048
