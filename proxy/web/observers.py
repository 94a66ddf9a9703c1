"""The observers of answered requests: access log, metrics, recorder, automatic rollback, identity headers."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

import structlog

from proxy.observe.logs import access
from proxy.observe.metrics import Metrics
from proxy.observe.tracing import Tracing
from proxy.rollout.auto_rollback import AutoRollback
from proxy.rollout.decide import ROUTE_OFF
from proxy.rollout.recorder import Recorder
from proxy.store.rollout.series import SeriesKey, minute_of
from proxy.store.sealing.sealer import Sealer
from proxy.web.exchange import Exchange, Observer
from proxy.web.spans import server_span
from proxy.web.trace import access_of, story, visit
from proxy.web.webhooks import PATH as WEBHOOKS

_CASES: Final = 4096
_SERVER_ERROR: Final = 500
_DROPPED: Final = frozenset({b"api_key", b"api-key", b"user_mail", b"user-mail"})
_PASSED_ON: Final = b"organization"
_HINT: Final = "a front drops headers with an underscore; nginx needs `underscores_in_headers on;`"

_identity_log: Final = structlog.get_logger("proxy.identity")


def observers(
    metrics: Metrics, tracing: Tracing, recorder: Recorder, sealer: Sealer, step_backs: AutoRollback
) -> list[Observer]:
    """Makes the observers of one application, in the order in which they are called."""
    # Clients call a case again and again, and its hash never changes.
    hashed = lru_cache(_CASES)(sealer.case)
    return [
        _log,
        partial(_count, metrics),
        partial(_count_in_series, recorder),
        partial(_note_story, recorder),
        partial(_note_visit, recorder),
        partial(_note_access, recorder, hashed),
        partial(_watch_canary, step_backs),
        IdentityWatch().look,
        *([partial(_export, tracing)] if tracing.is_on else []),
    ]


def _log(exchange: Exchange) -> None:
    access(
        route=exchange.path,
        method=exchange.method,
        status=exchange.status,
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        milliseconds=exchange.milliseconds,
        cause=exchange.cause,
        side=exchange.side,
    )


def _count(metrics: Metrics, exchange: Exchange) -> None:
    decision = exchange.decision
    mode, side = (decision.in_force.mode, decision.side) if decision else ("none", "none")
    # An exemplar of a trace that is not sampled would lead nowhere.
    trace_id = exchange.trace_id if exchange.trace and exchange.trace.is_sampled else None
    metrics.answered(exchange.route, mode, side, exchange.status, exchange.seconds, trace_id)
    if exchange.path == WEBHOOKS:
        metrics.webhook(exchange.cause or ("accepted" if exchange.status < 300 else "other"))


def _count_in_series(recorder: Recorder, exchange: Exchange) -> None:
    if not exchange.has_route or exchange.method == "OPTIONS":  # a browser's question is no call
        return
    minute = minute_of(exchange.at)
    if decision := exchange.decision:
        key = SeriesKey(exchange.route, decision.in_force.mode, decision.side, minute)
    else:
        key = SeriesKey(exchange.route, "off" if exchange.cause == ROUTE_OFF else "", "", minute)
    recorder.answered(key, exchange.seconds, error=exchange.status >= _SERVER_ERROR)


def _note_story(recorder: Recorder, exchange: Exchange) -> None:
    recorder.traced(story(exchange))


def _note_visit(recorder: Recorder, exchange: Exchange) -> None:
    if (visited := visit(exchange)) is not None:
        recorder.visited(visited)


def _note_access(recorder: Recorder, hashed: Callable[[str], str], exchange: Exchange) -> None:
    if (accessed := access_of(exchange, hashed)) is not None:
        recorder.accessed(accessed)


def _watch_canary(step_backs: AutoRollback, exchange: Exchange) -> None:
    if exchange.decision is not None and exchange.decision.why != "options":
        step_backs.answered(exchange.route, exchange.decision, exchange.status)


def _export(tracing: Tracing, exchange: Exchange) -> None:
    if exchange.trace is not None and exchange.trace.is_recorded:
        tracing.export(server_span(exchange, exchange.trace))


class IdentityWatch:
    """A check for a front that drops API_KEY and user_mail.

    nginx does so without `underscores_in_headers on`. The watch checks each request until the answer is
    clear; it logs the hint once, or never.
    """

    def __init__(self) -> None:
        self._knows = False

    def look(self, exchange: Exchange) -> None:
        if self._knows:
            return
        came = not _DROPPED.isdisjoint(exchange.headers.names)
        self._knows = came or _PASSED_ON in exchange.headers.names
        if self._knows and not came:
            _identity_log.warning("identity_headers_dropped", hint=_HINT)
