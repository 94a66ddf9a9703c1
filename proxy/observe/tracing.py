"""Exports spans by OpenTelemetry if the standard OTEL_* variables ask for it; else none of it is imported."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeAlias

import structlog

Kind: TypeAlias = Literal["server", "client", "internal"]
Attributes: TypeAlias = Mapping[str, str | int]

INSTALL: Final = "pip install 'michiq-proxy[otel]'"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# The end of a process waits no longer than this for a collector that is slow or down.
_MOST_FLUSH_SECONDS: Final = 2.0

_log: Final = structlog.get_logger("proxy.tracing")


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span: codes, templates and numbers, and nothing that a client has written.

    The ids are lower-case hexadecimal digits, as in a `traceparent`. `link` has the trace id and the span id
    of a span in another trace.
    """

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str | None
    ended: datetime
    duration: timedelta
    attributes: Attributes = field(default_factory=dict)
    has_failed: bool = False
    link: tuple[str, str] | None = None


class Exporter(Protocol):
    """The part that sends spans to a collector, and decides by OTEL_TRACES_SAMPLER which ones."""

    def samples(self, trace_id: str, parent_id: str | None, *, parent_is_sampled: bool) -> bool: ...

    def export(self, span: Span) -> None: ...

    async def close(self, seconds: float) -> None: ...


class Tracing:
    """The tracing of one process; without an exporter no span is made."""

    def __init__(self, exporter: Exporter | None = None) -> None:
        self._exporter = exporter

    @property
    def is_on(self) -> bool:
        return self._exporter is not None

    def new_id(self, size: int) -> str:
        """Returns a random id of `size` bytes, in hexadecimal digits."""
        return os.urandom(size).hex()

    def samples(self, trace_id: str, parent_id: str | None, *, parent_is_sampled: bool) -> bool:
        """Returns whether the spans of this trace are exported; False without an exporter."""
        exporter = self._exporter
        return exporter is not None and exporter.samples(
            trace_id, parent_id, parent_is_sampled=parent_is_sampled
        )

    def export(self, span: Span) -> None:
        """Exports the span later; never waits and never fails."""
        if self._exporter is not None:
            self._exporter.export(span)

    async def close(self, seconds: float) -> None:
        """Sends what is left, for at most these seconds."""
        if self._exporter is not None:
            await self._exporter.close(min(seconds, _MOST_FLUSH_SECONDS))


def open_tracing(environ: Mapping[str, str]) -> Tracing:
    """Returns the tracing that the OTEL_* variables ask for, with a warning where it can't be had.

    A platform may set these variables for all its programs, and spans are a help and no duty: so the proxy
    starts without them, too.
    """
    if not is_asked_for(environ):
        return Tracing()
    if (hint := _unusable(environ)) is not None:
        _log.warning("traces_off", hint=hint)
        return Tracing()
    try:
        from proxy.observe.otlp import OtlpExporter
    except ImportError:
        _log.warning("traces_off", hint=f"OTEL_* is set, but OpenTelemetry is not installed: {INSTALL}")
        return Tracing()
    try:
        return Tracing(OtlpExporter(environ))
    except ValueError as error:
        _log.warning("traces_off", hint="an OTEL_* variable has a value that can't be used", exc_info=error)
        return Tracing()


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Returns whether the variables ask for the export of spans; an empty one counts as unset."""
    if _value(environ, "OTEL_SDK_DISABLED") == "true":
        return False
    exporters = _value(environ, "OTEL_TRACES_EXPORTER")
    return exporters != "none" if exporters else _first(environ, _ENDPOINTS) != ""


def _unusable(environ: Mapping[str, str]) -> str | None:
    """Returns why the proxy can't do what the variables ask for; it never repeats a value."""
    exporters = _value(environ, "OTEL_TRACES_EXPORTER")
    if exporters and "otlp" not in [each.strip() for each in exporters.split(",")]:
        return "OTEL_TRACES_EXPORTER needs otlp or none"
    if _first(environ, _PROTOCOLS) not in ("", "http/protobuf"):
        return "OTEL_EXPORTER_OTLP_PROTOCOL needs http/protobuf"
    return None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := _value(environ, name))), "")


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()
