"""Makes the records of a candidate's end: the request trace for `explain`, and the span."""

from datetime import datetime, timedelta
from typing import Final

from proxy.observe.tracing import Span
from proxy.rollout.shadow.queue import Compared
from proxy.store.audit.request_traces import RequestTrace
from proxy.values import Json

_DIFFERENCES: Final = 20
_FAULTS: Final = frozenset({"crashed", "timeout"})


def shadow_story(compared: Compared, at: datetime) -> RequestTrace:
    """Returns the trace of a comparison: the structure of the differences, never a value."""
    differences: list[Json] = [
        {"path": each.path, "kind": each.kind, "control": each.control.type, "candidate": each.candidate.type}
        for each in compared.differences[:_DIFFERENCES]
    ]
    trace: Json = {"outcome": compared.outcome.text, "differences": differences}
    return RequestTrace(compared.job.request_id, at, {"shadow": trace})


def shadow_span(compared: Compared, ended: datetime) -> Span | None:
    """Returns the span of a run, the root of its own trace, linked to the request's; None if none is made."""
    job, outcome = compared.job, compared.outcome
    if job.trace is None or job.caused_by is None or compared.seconds is None:
        return None
    has_failed = outcome.how == "dry-run-failed" or outcome.why in _FAULTS
    attributes = {"michiq.route": job.route, "michiq.shadow.outcome": outcome.text}
    if has_failed:
        attributes["error.type"] = outcome.why
    return Span(
        f"shadow {job.route}",
        "internal",
        job.trace.trace_id,
        job.trace.span_id,
        None,
        ended,
        timedelta(seconds=compared.seconds),
        attributes,
        has_failed=has_failed,
        link=(job.caused_by.trace_id, job.caused_by.span_id),
    )
