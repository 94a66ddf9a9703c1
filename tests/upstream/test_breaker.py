"""A breaker, step by step, and in use before an upstream on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from pydantic import BaseModel

from proxy.errors import UpstreamError
from proxy.upstream import open_upstreams
from proxy.upstream.breaker import FAILURES, OPEN_SECONDS, Breaker, State, Verdict
from proxy.upstream.call import Budget, Call
from proxy.upstream.client import Upstream, open_upstream
from tests.captured import captured_log
from tests.upstream.wire import Wire, answer, answering, fixed, ignore, scripted

NOW = 1000.0
OPEN = Breaker(FAILURES, NOW)
PROBING = Breaker(FAILURES, NOW, probing=True)

# What it is, what a call said of its upstream, whether that call was the probe, and what it is then.
TOLD: list[tuple[Breaker, Verdict, bool, Breaker]] = [
    (Breaker(), "works", False, Breaker()),
    (Breaker(), "unknown", False, Breaker()),
    (Breaker(), "fails", False, Breaker(1)),
    (Breaker(3), "fails", False, Breaker(4)),
    (Breaker(3), "unknown", False, Breaker(3)),
    (Breaker(4), "works", False, Breaker()),
    (Breaker(4), "fails", False, Breaker(5, NOW + 1)),
    (OPEN, "fails", False, OPEN),
    (OPEN, "unknown", False, OPEN),
    (OPEN, "works", False, Breaker()),
    (PROBING, "fails", False, PROBING),
    (PROBING, "works", False, Breaker()),
    (PROBING, "works", True, Breaker()),
    (PROBING, "fails", True, Breaker(FAILURES, NOW + 1)),
    (PROBING, "unknown", True, Breaker(FAILURES, NOW + 1 - OPEN_SECONDS)),
]

# What it is, how much later a call comes, and what it is once that has gone out.
ADMITTED: list[tuple[Breaker, float, Breaker | None]] = [
    (Breaker(), 0, Breaker()),
    (Breaker(4), 0, Breaker(4)),
    (OPEN, 0, None),
    (OPEN, OPEN_SECONDS - 0.001, None),
    (OPEN, OPEN_SECONDS, Breaker(FAILURES, NOW + OPEN_SECONDS, probing=True)),
    (PROBING, 1, None),
    (PROBING, OPEN_SECONDS, Breaker(FAILURES, NOW + OPEN_SECONDS, probing=True)),
]
STATES: list[tuple[Breaker, State]] = [
    (Breaker(), "closed"),
    (Breaker(4), "closed"),
    (OPEN, "open"),
    (PROBING, "half-open"),
]

LONG = Budget(total=10, connect=10, read=10)
GET = Call("GET", "/words", LONG, {})
POST = Call("POST", "/words", LONG, {})
GOOD = answer(b'{"word": "hola"}')


class Word(BaseModel):
    word: str


@pytest.mark.parametrize(("before", "verdict", "probe", "after"), TOLD)
def test_breaker_is_told_how_a_call_ended(
    before: Breaker, verdict: Verdict, probe: bool, after: Breaker
) -> None:
    assert before.after(verdict, NOW + 1, probe=probe) == after


@pytest.mark.parametrize(("before", "later", "after"), ADMITTED)
def test_breaker_admits_a_call_or_not(before: Breaker, later: float, after: Breaker | None) -> None:
    assert before.admitted(NOW + later) == after


@pytest.mark.parametrize(("breaker", "state"), STATES)
def test_breaker_has_a_state(breaker: Breaker, state: State) -> None:
    assert breaker.state == state


@dataclass
class Ticks:
    """A clock that is moved by hand."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Fuse:
    """An upstream behind a breaker, and what its server got."""

    upstream: Upstream
    wire: Wire
    ticks: Ticks
    causes: list[str] = field(default_factory=list)

    async def ask(self, call: Call = POST) -> str | None:
        """Returns the cause of the failure, if the call fails."""
        try:
            await self.upstream.fetch(call, Word)
        except UpstreamError as error:
            return error.cause
        return None


@asynccontextmanager
async def fuse(*answers: bytes) -> AsyncIterator[Fuse]:
    ticks = Ticks()
    async with (
        answering(*answers) as wire,
        open_upstream("x", wire.url, ignore, ticks) as upstream,
    ):
        yield Fuse(upstream, wire, ticks)


@pytest.mark.parametrize("status", ["500 No", "503 No", "599 No"])
async def test_breaker_opens_after_five_failures_and_then_nothing_is_sent(status: str) -> None:
    async with fuse(answer(b"", status)) as it:
        for _ in range(FAILURES):
            assert it.upstream.gate.state == "closed"
            assert await it.ask() == f"x-{status[:3]}"
        assert it.upstream.gate.state == "open"
        with pytest.raises(UpstreamError) as caught:
            await it.upstream.fetch(POST, Word)
        assert (caught.value.kind, caught.value.cause) == ("upstream_failed", "x-breaker-open")
        assert (caught.value.arrived, caught.value.may_have_worked) == (False, False)
        assert len(it.wire.requests) == FAILURES


@pytest.mark.parametrize("status", ["400 No", "401 No", "402 No", "404 No", "413 No", "429 No", "307 There"])
async def test_breaker_stays_closed_while_the_upstream_refuses(status: str) -> None:
    async with fuse(answer(b"", status)) as it:
        for _ in range(3 * FAILURES):
            assert await it.ask() != "x-breaker-open"
        assert it.upstream.gate.state == "closed"


async def test_breaker_counts_failures_in_a_row_only() -> None:
    bad = answer(b"", "500 No")
    async with fuse(bad, bad, bad, bad, GOOD, bad, bad, bad, bad, answer(b"", "404 No"), bad, bad) as it:
        for _ in range(12):
            await it.ask()
        assert it.upstream.gate.state == "closed"


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def state_of(upstream: Upstream) -> State:
    return upstream.gate.state


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(("script", "cause"), [(hang_up, "x-cut"), (say_nothing, "x-timeout")])
async def test_breaker_opens_when_connections_fail_or_nothing_comes(script: Script, cause: str) -> None:
    short = Call("POST", "/words", Budget(total=0.05, connect=10, read=10), {})
    async with scripted(script) as wire, open_upstream("x", wire.url, ignore, Ticks()) as upstream:
        it = Fuse(upstream, wire, Ticks())
        assert [await it.ask(short if cause == "x-timeout" else POST) for _ in range(FAILURES)] == (
            [cause] * FAILURES
        )
        assert await it.ask() == "x-breaker-open"
        assert wire.connections == FAILURES


async def test_breaker_opens_when_nobody_listens() -> None:
    async with scripted(say_nothing) as wire:
        url = wire.url
    async with open_upstream("x", url, ignore, Ticks()) as upstream:
        it = Fuse(upstream, wire, Ticks())
        assert [await it.ask() for _ in range(FAILURES + 1)] == (
            ["x-unreachable"] * FAILURES + ["x-breaker-open"]
        )


async def test_breaker_lets_one_probe_through_after_its_time_and_closes_when_that_is_answered() -> None:
    gate = asyncio.Event()
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        if len(wire.requests) <= FAILURES:
            writer.write(answer(b"", "500 No"))
            return
        asked.set()
        await gate.wait()
        writer.write(GOOD)

    ticks = Ticks()
    async with scripted(script) as wire, open_upstream("x", wire.url, ignore, ticks) as upstream:
        it = Fuse(upstream, wire, ticks)
        for _ in range(FAILURES):
            await it.ask()
        ticks.now += OPEN_SECONDS
        probe = asyncio.create_task(it.ask())
        await asked.wait()
        assert state_of(upstream) == "half-open"
        assert [await it.ask() for _ in range(5)] == ["x-breaker-open"] * 5
        gate.set()
        assert await probe is None
        assert state_of(upstream) == "closed"
        assert len(wire.requests) == FAILURES + 1


async def test_breaker_opens_anew_when_its_probe_fails() -> None:
    async with fuse(answer(b"", "500 No")) as it:
        for _ in range(FAILURES):
            await it.ask()
        for number in range(1, 4):
            it.ticks.now += OPEN_SECONDS
            assert [await it.ask() for _ in range(3)] == ["x-500", "x-breaker-open", "x-breaker-open"]
            assert len(it.wire.requests) == FAILURES + number


async def test_breaker_lets_the_next_one_through_when_its_probe_was_cancelled() -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        if len(wire.requests) == FAILURES + 1:
            asked.set()
            await reader.read()
        writer.write(answer(b"", "500 No") if len(wire.requests) <= FAILURES else GOOD)

    ticks = Ticks()
    async with scripted(script) as wire, open_upstream("x", wire.url, ignore, ticks) as upstream:
        it = Fuse(upstream, wire, ticks)
        for _ in range(FAILURES):
            await it.ask()
        ticks.now += OPEN_SECONDS
        probe = asyncio.create_task(it.ask())
        await asked.wait()
        probe.cancel()
        await asyncio.wait({probe})
        assert await it.ask() is None


async def test_breaker_of_one_upstream_says_nothing_of_another_and_states_are_to_be_had() -> None:
    async with (
        answering(answer(b"", "500 No")) as bad,
        answering(GOOD) as good,
        open_upstreams(
            llamalitica_url=good.url,
            llamachat_url=bad.url,
            legacy_url=None,
            randomness=fixed,
            on_call=ignore,
            monotonic=Ticks(),
        ) as upstreams,
    ):
        assert upstreams.llamachat
        for _ in range(FAILURES):
            with pytest.raises(UpstreamError):
                await upstreams.llamachat.start("key")
        assert upstreams.states() == {"llamalitica": "closed", "llamachat": "open"}


async def test_breaker_says_in_the_log_whenever_its_state_changes() -> None:
    bad = answer(b"", "500 No")
    with captured_log() as log:
        async with fuse(*[bad] * FAILURES, GOOD) as it:
            for _ in range(FAILURES + 2):
                await it.ask()
            it.ticks.now += OPEN_SECONDS
            assert await it.ask() is None
    lines = [line for line in log.getvalue().splitlines() if '"breaker"' in line]
    assert [state in line for state, line in zip(("open", "half-open", "closed"), lines, strict=True)] == (
        [True] * 3
    )
