"""The observers of answered requests: access log, metrics, recorder and automatic rollback."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from proxy.observe.logs import access
from proxy.observe.metrics import Metrics
from proxy.rollout.auto_rollback import AutoRollback
from proxy.rollout.recorder import Recorder
from proxy.store.sealing.sealer import Sealer
from proxy.web.exchange import Exchange, Observer
from proxy.web.identity_watch import IdentityWatch
from proxy.web.trace import access_of, story, visit

_CASES: Final = 4096


def observers(
    metrics: Metrics, recorder: Recorder, sealer: Sealer, step_backs: AutoRollback
) -> list[Observer]:
    """Makes the observers of one application, in the order in which they are called."""
    # Clients call a case again and again, and its hash never changes.
    hashed = lru_cache(_CASES)(sealer.case)
    return [
        _log,
        partial(_count, metrics),
        partial(_note_story, recorder),
        partial(_note_visit, recorder),
        partial(_note_access, recorder, hashed),
        partial(_watch_canary, step_backs),
        IdentityWatch().look,
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
    metrics.answered(exchange.route, exchange.side or "none", exchange.status, exchange.seconds)


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
