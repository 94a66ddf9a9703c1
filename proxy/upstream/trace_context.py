"""Reads and writes the trace context of a request: `traceparent` and `tracestate` (W3C Trace Context)."""

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FORBIDDEN_VERSION: Final = b"ff"
_VERSION: Final = b"00"
SAMPLED: Final = 0x01
RANDOM: Final = 0x02  # the lower bytes of the trace id are random
_KNOWN_FLAGS: Final = SAMPLED | RANDOM

# Section 3.3.1.3; a member may be empty, and have blanks around it.
_MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]|"
)
_MOST_MEMBERS: Final = 32
# A proxy should pass on at least so much (section 3.3.1.5); a longer one is not passed on.
MOST_TRACESTATE: Final = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The trace of a request, and its place in it.

    `trace_id` has 32 lower-case hexadecimal digits, `span_id` and `parent_id` have 16. With `is_ours`,
    `span_id` is the span of this proxy, below the caller's `parent_id`; else it is the caller's. `state` is
    the caller's `tracestate` and may have anything that they wrote: it is only passed on.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    parent_id: str | None = None
    state: str = field(default="", repr=False)
    is_ours: bool = False

    @property
    def is_sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    @property
    def is_recorded(self) -> bool:
        """Returns whether the proxy exports spans of this trace."""
        return self.is_ours and self.is_sampled

    def headers(self, span_id: str | None = None) -> dict[str, str]:
        """Returns the header fields of a call; `span_id` is the call's own span, if it has one."""
        fields = {"traceparent": f"00-{self.trace_id}-{span_id or self.span_id}-{self.flags:02x}"}
        return fields | {"tracestate": self.state} if self.state else fields


# The headers of a call that goes out now, and the id of its span if it gets one.
Carry: TypeAlias = Callable[[], tuple[dict[str, str], str | None]]

# The context of the request under way; the tasks that it starts have the same.
CONTEXT: Final[ContextVar[TraceContext | None]] = ContextVar("trace_context", default=None)


def carried(new_span_id: Callable[[], str]) -> tuple[dict[str, str], str | None]:
    """Returns the headers that continue the trace of the request under way, none without one.

    Without spans of our own, the upstream's parent is the caller's span, as if the proxy were not there.
    """
    context = CONTEXT.get()
    if context is None:
        return {}, None
    span_id = new_span_id() if context.is_ours else None
    return context.headers(span_id), span_id


def apart(context: TraceContext | None, new_id: Callable[[int], str]) -> TraceContext | None:
    """Returns the root of another trace, for work that outlives its request; None if no spans are made."""
    if context is None or not context.is_recorded:
        return None
    return TraceContext(new_id(16), new_id(8), SAMPLED | RANDOM, is_ours=True)


def read_trace_context(traceparent: Sequence[bytes], tracestate: Sequence[bytes]) -> TraceContext | None:
    """Returns the context that a request came with; None without a well-formed `traceparent` (section 4.3).

    The arguments are the values of these fields, as they came. A `tracestate` that is malformed or too long
    is dropped.
    """
    match = _TRACEPARENT.fullmatch(traceparent[0]) if len(traceparent) == 1 else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == _FORBIDDEN_VERSION or (version == _VERSION and more is not None):
        return None
    if not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return TraceContext(
        trace_id.decode(), parent_id.decode(), int(flags, 16) & _KNOWN_FLAGS, state=_state(tracestate)
    )


def _state(values: Sequence[bytes]) -> str:
    state = b",".join(values).decode("latin-1")
    members = state.split(",") if len(state) <= MOST_TRACESTATE else []
    is_fit = len(members) <= _MOST_MEMBERS and all(_MEMBER.fullmatch(each.strip(" \t")) for each in members)
    return state if members and is_fit else ""
