"""Metrics for Prometheus: counted in this process, by templates and codes, never by a client's data."""

import math
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STATES: Final = ("closed", "open", "half-open")


class Metrics:
    """The metrics of one process; with several workers, each scrape shows those of one worker."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "michiq_requests", "Answered requests", ("route", "side", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "michiq_request_seconds",
            "From a request's first byte to its answer",
            ("route", "side"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._calls = Counter(
            "michiq_upstream_calls", "Calls to upstreams", ("upstream", "outcome"), registry=self._registry
        )
        self._shadow = Counter(
            "michiq_shadow_outcomes", "What candidates came to", ("route", "outcome"), registry=self._registry
        )
        self._handshakes = Counter(
            "michiq_tls_failures",
            "TLS handshakes that failed",
            ("version", "reason"),
            registry=self._registry,
        )
        self._ambiguous = Gauge(
            "michiq_ambiguous_calls", "Calls that may have worked or not", registry=self._registry
        )
        self._waiting = Gauge(
            "michiq_tee_waiting", "Webhook deliveries that wait for the consumer", registry=self._registry
        )
        self._breakers = Gauge(
            "michiq_breaker", "1 for the state that it is in", ("upstream", "state"), registry=self._registry
        )

        self._free = Gauge(
            "michiq_store_free_bytes", "Free on the fuller of the store's disks", registry=self._registry
        )

        self._dropped = Counter(
            "michiq_log_lines_dropped", "Log lines that nobody took in time", registry=self._registry
        )
        self._dropped_before = 0

        # A look-up of a label costs as much as counting.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._called: dict[tuple[str, str], Counter] = {}

        self._held = Gauge("michiq_retention_held", "1 while the clock is in doubt", registry=self._registry)

    def answered(self, route: str, side: str, status: int, seconds: float) -> None:
        kind = route, side, status
        if (found := self._answered.get(kind)) is None:
            counter = self._requests.labels(route, side, str(status))
            found = self._answered[kind] = counter, self._seconds.labels(route, side)
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)

    def called(self, upstream: str, cause: str | None) -> None:
        kind = upstream, cause or "ok"
        if (counter := self._called.get(kind)) is None:
            counter = self._called[kind] = self._calls.labels(*kind)
        counter.inc()

    def compared(self, route: str, outcome: str) -> None:
        self._shadow.labels(route, outcome).inc()

    def handshake_failed(self, version: str, reason: str) -> None:
        self._handshakes.labels(version, reason).inc()

    def exposition(
        self,
        *,
        ambiguous: int,
        waiting: int,
        breakers: dict[str, str],
        free_bytes: int | None,
        retention_held: bool,
        log_lines_dropped: int,
    ) -> bytes:
        """Returns all metrics as text, with the current values."""
        self._ambiguous.set(ambiguous)
        self._waiting.set(waiting)
        self._free.set(math.nan if free_bytes is None else free_bytes)
        self._held.set(retention_held)
        self._dropped.inc(max(0, log_lines_dropped - self._dropped_before))
        self._dropped_before = log_lines_dropped
        for upstream, state in breakers.items():
            for each in _STATES:
                self._breakers.labels(upstream, each).set(each == state)
        return generate_latest(self._registry)
