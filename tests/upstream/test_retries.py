"""Retries: only of a GET whose connection was lost, and not often."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pydantic import BaseModel

from proxy.errors import UpstreamError
from proxy.upstream import breaker, client
from proxy.upstream.call import Budget, Call, CallRecord
from proxy.upstream.client import Retries, Upstream, open_upstream
from proxy.upstream.http1.connection import Connection
from proxy.upstream.http1.pool import Pool
from proxy.upstream.request import Heads
from proxy.upstream.sending import Attempt, begun
from tests.upstream.wire import answer, answering, ignore, scripted, silence

LONG = Budget(total=10, connect=10, read=10)
GOOD = answer(b'{"word": "hola"}')

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Word(BaseModel):
    word: str


async def cause_of(upstream: Upstream, method: str = "GET", budget: Budget = LONG) -> str | None:
    try:
        await upstream.fetch(Call(method, "/words", budget, {}), Word)
    except UpstreamError as error:
        return error.cause
    return None


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(GOOD[:-4])


def test_retries_are_a_fifth_of_the_calls_at_the_most() -> None:
    for calls in (10, 11, 50, 1000):
        retries = Retries()
        spent = 0
        for _ in range(calls):
            retries.earn()
            spent += retries.spend()
        assert 1 <= spent <= calls / 5


def test_retries_that_were_saved_up_are_limited() -> None:
    retries = Retries()
    for _ in range(10_000):
        retries.earn()
    assert sum(retries.spend() for _ in range(100)) == 10


@pytest.mark.parametrize("script", [hang_up, half])
async def test_retry_is_made_once_for_a_get_whose_connection_was_lost(script: Script) -> None:
    records: list[CallRecord] = []
    async with scripted(script) as wire, open_upstream("x", wire.url, records.append) as upstream:
        assert await cause_of(upstream) == "x-cut"
        assert wire.connections == 2
    assert [record.cause for record in records] == ["x-cut", "x-cut"]


async def test_retry_on_another_connection_may_succeed() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        if wire.connections > 1:
            writer.write(GOOD)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert await cause_of(upstream) is None


@pytest.mark.parametrize("script", [hang_up, half])
async def test_retry_N17_is_never_made_for_a_post(script: Script) -> None:
    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        for _ in range(breaker.FAILURES):
            assert await cause_of(upstream, "POST") == "x-cut"
        assert wire.connections == breaker.FAILURES


@pytest.mark.parametrize("status", ["401 No", "404 No", "429 No", "500 No", "503 No"])
async def test_retry_is_not_made_after_an_answer(status: str) -> None:
    refusal = answer(b"", status, "Retry-After: 0")
    async with answering(refusal) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert await cause_of(upstream) == f"x-{status[:3]}"
        assert len(wire.requests) == 1


async def test_retry_has_what_is_left_of_the_calls_time(monkeypatch: pytest.MonkeyPatch) -> None:
    totals: list[float] = []

    async def noted(pool: Pool, heads: Heads, call: Call, attempt: Attempt) -> Connection:
        totals.append(call.budget.total)
        return await begun(pool, heads, call, attempt)

    monkeypatch.setattr(client, "begun", noted)
    async with scripted(hang_up) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert await cause_of(upstream) == "x-cut"
    first, second = totals
    assert (first, 0 < second < first) == (LONG.total, True)


async def test_retry_is_not_made_after_a_timeout() -> None:
    async with scripted(silence) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert await cause_of(upstream, budget=Budget(total=0.05, connect=10, read=10)) == "x-timeout"
        assert wire.connections == 1


async def test_retries_of_a_failing_upstream_stay_below_a_fifth_of_its_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The breaker never opens here: it would limit their number even more."""
    monkeypatch.setattr(breaker, "FAILURES", 10_000)
    async with scripted(hang_up) as wire, open_upstream("x", wire.url, ignore) as upstream:
        for _ in range(100):
            assert await cause_of(upstream) == "x-cut"
        assert 100 < wire.connections <= 120


async def test_retry_is_not_made_for_a_probe() -> None:
    ticks = iter([0.0, 0.0] * breaker.FAILURES + [breaker.OPEN_SECONDS] * 2)
    async with scripted(hang_up) as wire, open_upstream("x", wire.url, ignore, ticks.__next__) as upstream:
        for _ in range(breaker.FAILURES):
            await cause_of(upstream, "POST")
        assert await cause_of(upstream) == "x-cut"
        assert wire.connections == breaker.FAILURES + 1
