"""Collects the calls to upstreams that a request makes, while it is under way."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final

from proxy.upstream.call import CallRecord

# Tasks that a request starts share its list.
CALLS: Final[ContextVar[list[CallRecord] | None]] = ContextVar("calls", default=None)


def note_call(call: CallRecord) -> None:
    calls = CALLS.get()
    if calls is not None:
        calls.append(call)


def calls_made() -> Sequence[CallRecord]:
    """Returns the calls of the current request, in the order in which they ended."""
    return tuple(CALLS.get() or ())
