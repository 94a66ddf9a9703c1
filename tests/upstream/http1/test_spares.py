"""Connections that are opened ahead: for anybody, few, and none without traffic."""

import asyncio
from functools import partial
from typing import NoReturn

import pytest

from proxy.upstream.client import open_upstream
from proxy.upstream.http1 import pool
from proxy.upstream.http1.dial import Dialer
from proxy.upstream.http1.errors import NotConnected
from tests.flows._client import until
from tests.upstream.http1.test_kept import ANA, EVA, GOOD, Kept, call
from tests.upstream.test_client import Word
from tests.upstream.wire import Wire, answering, ignore, scripted


async def test_spare_connections_are_opened_ahead_and_used_for_whoever_comes_next() -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore, spares=2) as upstream:
        it = Kept(upstream, wire)
        await it.ask(ANA)
        await until(lambda: wire.connections == 3)
        await it.ask(EVA)
        assert len(wire.requests) == 2
        # One was taken, and is replaced.
        await until(lambda: wire.connections == 4)


async def test_spare_connections_are_never_more_than_were_allowed() -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore, spares=3) as upstream:
        it = Kept(upstream, wire)
        for number in range(20):
            await it.ask(b"caller-%d" % number)
        await until(lambda: len(wire.tasks) >= 23)
        assert len(wire.tasks) <= 20 + 3


async def test_spare_connections_are_opened_in_the_place_of_those_that_are_kept_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "CONNECTIONS", 4)
    monkeypatch.setattr(pool, "IDLE_SECONDS", 60.0)
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore, spares=2) as upstream:
        it = Kept(upstream, wire)
        for number in range(8):
            opened = wire.connections
            await it.ask(b"caller-%d" % number)
            await until(partial(_has_more, wire, opened))
        monkeypatch.setattr(Dialer, "open", _refused)
        await it.ask(b"one more")


def _has_more(wire: Wire, opened: int) -> bool:
    return wire.connections > opened


async def _refused(*_: object) -> NoReturn:
    raise NotConnected("refused")


async def test_spare_connections_have_never_carried_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without a caller gets a new connection too: a used one could bring a late answer."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 60.0)
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore, spares=2) as upstream:
        it = Kept(upstream, wire)
        for number in range(1, 6):
            await it.ask(None)
            await until(partial(_has, wire, number + 2))


def _has(wire: Wire, connections: int) -> bool:
    """Returns whether this many connections were opened, of which two are open."""
    return wire.connections == connections and len(wire.tasks) == 2


async def test_spare_connections_end_where_there_is_no_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.01)
    before = asyncio.all_tasks()
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore, spares=8) as upstream:
        await Kept(upstream, wire).ask(None)
        await until(lambda: wire.connections > 1)
        await wire.all_closed()
        opened = wire.connections
        await until(lambda: asyncio.all_tasks() == before)
        assert wire.connections == opened


async def test_spare_connections_that_can_not_be_opened_are_left_alone() -> None:
    async with scripted(lambda *_: asyncio.sleep(0), refusing=True) as wire:
        before = asyncio.all_tasks()
        async with open_upstream("x", wire.url, ignore, spares=8) as upstream:
            for _ in range(3):
                with pytest.raises(Exception, match="x-unreachable"):
                    await upstream.fetch(call(ANA, "POST"), Word)
            await until(lambda: asyncio.all_tasks() == before)


async def test_spare_connections_that_speak_first_are_used_by_nobody() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if wire.connections > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await wire.read(reader)
        writer.write(GOOD)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore, spares=1) as upstream:
        await Kept(upstream, wire).ask(None)
        await until(lambda: wire.connections == 2 and not wire.tasks)
        assert len(wire.requests) == 1


async def test_nothing_is_left_of_spare_connections_at_the_end() -> None:
    before = asyncio.all_tasks()
    async with answering(GOOD) as wire:
        async with open_upstream("x", wire.url, ignore, spares=8) as upstream:
            await Kept(upstream, wire).ask(ANA, EVA, None)
        await wire.all_closed()
        assert asyncio.all_tasks() == before
