"""Writes down for `explain` what became of a candidate."""

from datetime import datetime
from typing import Final

from proxy.rollout.shadow.queue import Compared
from proxy.store.audit.request_traces import RequestTrace
from proxy.values import Json

_DIFFERENCES: Final = 20


def shadow_story(compared: Compared, at: datetime) -> RequestTrace:
    """Returns the trace of a comparison: the structure of the differences, never a value."""
    differences: list[Json] = [
        {"path": each.path, "kind": each.kind, "control": each.control.type, "candidate": each.candidate.type}
        for each in compared.differences[:_DIFFERENCES]
    ]
    trace: Json = {"outcome": compared.outcome.text, "differences": differences}
    return RequestTrace(compared.job.request_id, at, {"shadow": trace})
