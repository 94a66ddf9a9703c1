"""Metrics of this process for Prometheus: counted by templates and codes, never by a client's data."""

from collections.abc import Iterable
from typing import Final

from proxy.observe.counters import Counter, Frozen, Histogram

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WRITE_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# The outcomes and causes that alerts ask for.
_WEBHOOKS: Final = ("accepted", "signature", "not-an-event")
_STORE: Final = ("store-full", "store-locked", "store-readonly", "store-corrupt", "store-failed")


class Metrics:
    """The counts of one process. Only its loop's thread counts."""

    def __init__(self) -> None:
        self._requests = Counter("michiq_requests", "Answered requests", ("route", "mode", "side", "status"))
        about = "From a request's first byte to its answer"
        self._seconds = Histogram("michiq_request_seconds", about, ("route", "side"), _SECONDS)
        self._calls = Counter("michiq_upstream_calls", "Calls to upstreams", ("upstream", "outcome"))
        about = "From the beginning of a call to an upstream to its end"
        self._call_seconds = Histogram("michiq_upstream_seconds", about, ("upstream",), _SECONDS)
        about = "Outcomes of candidates"
        self._shadow = Counter("michiq_shadow_outcomes", about, ("route", "outcome"))
        about = "TLS handshakes that failed"
        self._handshakes = Counter("michiq_tls_failures", about, ("version", "reason"))
        about = "Automatic rollbacks of a route to the old server"
        self._step_backs = Counter("michiq_step_backs", about, ("route",))
        self._webhooks = Counter("michiq_webhooks", "Webhooks that came in", ("outcome",))
        self._store_errors = Counter(
            "michiq_store_errors", "Failed writes to the database, and failed longer reads", ("cause",)
        )
        about = "From the beginning of a write to the database until it is durable"
        self._writes = Histogram("michiq_store_write_seconds", about, (), _WRITE_SECONDS)
        self._dropped = Counter("michiq_log_lines_dropped", "Log lines that nobody took in time")
        self._webhooks.expect((each,) for each in _WEBHOOKS)
        self._store_errors.expect((each,) for each in _STORE)

    def answered(
        self, route: str, mode: str, side: str, status: int, seconds: float, trace: str | None = None
    ) -> None:
        """Counts an answer; `trace` is the id of the request's trace, if the client sent one."""
        self._requests.inc(route, mode, side, status)
        self._seconds.observe(seconds, route, side, trace=trace)

    def called(self, upstream: str, cause: str | None, seconds: float) -> None:
        self._calls.inc(upstream, cause or "ok")
        self._call_seconds.observe(seconds, upstream)

    def compared(self, route: str, outcome: str) -> None:
        self._shadow.inc(route, outcome)

    def handshake_failed(self, version: str, reason: str) -> None:
        self._handshakes.inc(version, reason)

    def stepped_back(self, route: str) -> None:
        self._step_backs.inc(route)

    def webhook(self, outcome: str) -> None:
        self._webhooks.inc(outcome)

    def step_backs(self, route: str) -> int:
        """Returns how often this process has rolled the route back."""
        return int(self._step_backs.count(route))

    def store_failures(self, cause: str) -> int:
        """Returns how many uses of the database have failed with this cause."""
        return int(self._store_errors.count(cause))

    def written(self, seconds: float) -> None:
        """Counts a write to the database that is durable."""
        self._writes.observe(seconds)

    def store_failed(self, cause: str) -> None:
        self._store_errors.inc(cause)

    def freeze(self, routes: Iterable[str], log_lines_dropped: int) -> list[Frozen]:
        """Copies all counts, for another thread; it takes less than a millisecond."""
        self._step_backs.expect((route,) for route in routes)
        self._dropped.reach(log_lines_dropped)
        families = (
            *(self._requests, self._seconds, self._calls, self._call_seconds, self._shadow),
            *(self._handshakes, self._step_backs, self._webhooks, self._store_errors, self._writes),
            self._dropped,
        )
        return [family.freeze() for family in families]
