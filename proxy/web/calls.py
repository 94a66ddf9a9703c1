"""The calls to upstreams that a request has made, gathered while it is under way."""

from contextvars import ContextVar
from typing import Final

from proxy.upstream.call import CallRecord
from proxy.values import Json

# Tasks that a request starts have the same list.
CALLS: Final[ContextVar[list[CallRecord] | None]] = ContextVar("calls", default=None)


def note_call(call: CallRecord) -> None:
    calls = CALLS.get()
    if calls is not None:
        calls.append(call)


def call_stories() -> list[Json]:
    """What `explain` tells of them."""
    return [_story(call) for call in CALLS.get() or ()]


def _story(call: CallRecord) -> Json:
    return {
        "upstream": call.upstream,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "cause": call.cause,
        "milliseconds": round(call.milliseconds),
    }
