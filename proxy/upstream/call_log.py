"""Collects the calls to upstreams that a request makes, while it is under way."""

from contextvars import ContextVar
from typing import Final

from proxy.upstream.call import CallRecord

# Tasks that a request starts share its list.
CALLS: Final[ContextVar[list[CallRecord] | None]] = ContextVar("calls", default=None)


def note_call(call: CallRecord) -> None:
    calls = CALLS.get()
    if calls is not None:
        calls.append(call)
