"""The trace context that requests come with (W3C Trace Context, sections 3 and 4.3)."""

from typing import Final

import pytest

from proxy.upstream.trace_context import TraceContext, read_trace_context

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"
GIVEN: Final = f"00-{TRACE}-{PARENT}-01"


def read(*traceparent: str, state: tuple[str, ...] = ()) -> TraceContext | None:
    return read_trace_context([each.encode() for each in traceparent], [each.encode() for each in state])


def test_a_well_formed_one_is_read() -> None:
    assert read(GIVEN) == TraceContext(TRACE, PARENT, flags=1)


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-03", 3),
        (f"00-{TRACE}-{PARENT}-ff", 3),
        (f"cc-{TRACE}-{PARENT}-01", 1),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", 1),
    ],
)
def test_flags_of_the_future_are_dropped_and_versions_of_the_future_are_read(
    traceparent: str, flags: int
) -> None:
    assert read(traceparent) == TraceContext(TRACE, PARENT, flags=flags)


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0g",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE}-{PARENT}-01\n",
    ],
)
def test_a_malformed_one_is_none(traceparent: str) -> None:
    assert read(traceparent) is None


def test_two_are_none() -> None:
    assert read(GIVEN, GIVEN) is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("congo=t61rcWkgMzE",), "congo=t61rcWkgMzE"),
        (("a=1,b@c/d=2 3",), "a=1,b@c/d=2 3"),
        (("a=1", "b=2"), "a=1,b=2"),
        (("a=1 , ,b=2",), "a=1 , ,b=2"),
        ((f"a={'x' * 255}",), f"a={'x' * 255}"),
        ((",".join(f"k{n}=1" for n in range(32)),), ",".join(f"k{n}=1" for n in range(32))),
    ],
)
def test_the_state_is_unchanged(states: tuple[str, ...], expected: str) -> None:
    context = read(GIVEN, state=states)
    assert context
    assert context.headers() == {"traceparent": GIVEN, "tracestate": expected}


@pytest.mark.parametrize(
    "state",
    [
        "",
        "a",
        "A=1",
        "a=1=2",
        "a=\x01",
        "a=é",
        "a=1\r\nX-Evil: 1",
        f"a={'x' * 255},b={'y' * 255}",
        ",".join(f"k{n}=1" for n in range(33)),
        "  ,  ," * 60 + "!",
    ],
)
def test_a_malformed_or_too_long_state_is_dropped_alone(state: str) -> None:
    context = read(GIVEN, state=(state,))
    assert context
    assert context.headers() == {"traceparent": GIVEN}


def test_a_call_with_a_span_of_its_own_says_so() -> None:
    assert TraceContext(TRACE, PARENT, flags=1).headers("b7ad6b7169203331") == {
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"
    }
