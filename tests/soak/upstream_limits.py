"""The limits of the calls to an upstream: retries, the pool, the breaker; the cost of a dead LlamaChat."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Final

from proxy.upstream.breaker import FAILURES, OPEN_SECONDS
from proxy.upstream.http1.pool import CONNECTIONS
from tests.conftest import Api
from tests.faults.asks import Ask, Told, prepared
from tests.faults.facing import facing, hurried, serving
from tests.faults.kinds import hang, reset_after_the_request
from tests.faults.system import Exchange, System, plainly, system
from tests.soak.process import percentile, steadily
from tests.soak.rows import Row

_RATE: Final = 30.0
_SECONDS: Final = 60.0


async def retries(folder: Path, count: int, log: StringIO) -> Row:
    """Hangs up on every second user; the others keep the breaker closed.

    A retry is a call of its own in the log. A GET whose connection had waited and is closed by then is sent
    once more within its call: that is no retry (RFC 9112, section 9.3.1).
    """
    async with system() as platform, system() as chat, facing(folder, platform.url, chat.url) as api:
        ask, begun = await prepared(api, "me"), log.tell()
        for number in range(count):
            platform.spoilt = ("me", reset_after_the_request) if number % 2 else None
            await ask()
        platform.spoilt = None
    lines = [json.loads(each) for each in log.getvalue()[begun:].splitlines() if '"upstream_call"' in each]
    more = sum(line["path"] == "/api/users/me" for line in lines) - count
    share = more / (len(lines) - more)
    # Each newCase sends its own beside users/me, for a caller who was just confirmed (CONTRACT N19).
    cases = sum(number for (target, _), number in platform.arrived.items() if target == "create")
    posts = "no POST twice" if cases <= count else f"{cases - count} POSTs sent twice"
    figure = f"{share:.1%} ({more}), {posts}"
    return _row("retries ≤ 20 % of the calls", figure, met=share <= 0.2 and cases <= count)


async def full_pool(folder: Path, log: StringIO) -> Row:
    """More questions at once than there are connections, to a LlamaChat that says nothing; how long each
    waited for one stands in the log."""
    async with system() as platform, system() as chat, facing(folder, platform.url, chat.url) as api:
        asks = [await prepared(api, "start") for _ in range(CONNECTIONS + 8)]
        chat.spoilt = ("start", hang)
        begun = log.tell()
        with hurried(total=4, silence=4):
            await asyncio.gather(*(ask() for ask in asks))
    lines = [json.loads(each) for each in log.getvalue()[begun:].splitlines() if '"llamachat-busy"' in each]
    waited = [line["ms"] for line in lines if line["event"] == "upstream_call"]
    figure = f"{len(waited)} of {len(asks)} refused after {max(waited, default=0)} ms at most"
    return _row("pool wait ≤ 1 s", figure, met=len(waited) == 8 and max(waited) <= 1000)


async def breaker(folder: Path) -> list[Row]:
    async with system() as platform, system() as chat, facing(folder, platform.url, chat.url) as api:
        asks = [await prepared(api, "start") for _ in range(20)]
        chat.deafen()
        await chat.hang_up()
        first = [(await asks[0]()).cause for _ in range(FAILURES + 1)]
        opened = time.monotonic()
        told = [await asks[number % 20]() for number in range(200)]
        slowest = max(each.seconds for each in told)
        refused = all(each.cause == "llamachat-breaker-open" for each in told)
        await chat.listen()
        chat.spoilt = ("start", _after_a_while)
        await asyncio.sleep(opened + OPEN_SECONDS - time.monotonic() + 0.1)
        probed = [each.cause for each in await asyncio.gather(*(ask() for ask in asks))]
        chat.spoilt = None
        good = await asks[1]()
    after = (
        "opened after 5"
        if first == ["llamachat-unreachable"] * 5 + ["llamachat-breaker-open"]
        else str(first)
    )
    arrived = len(probed) - probed.count("llamachat-breaker-open")
    return [
        _row("a breaker opens after 5 failures", after, met=after.startswith("opened") and refused),
        _row(
            "an answer ≤ 50 ms while it is open",
            f"{slowest * 1000:.0f} ms at most of 200",
            met=slowest <= 0.05,
        ),
        _row(
            "half-open at 30 s: one probe",
            f"{arrived} of 20 calls sent, then {good.status}",
            met=arrived == 1 and good.own,
        ),
    ]


async def _after_a_while(exchange: Exchange) -> None:
    await asyncio.sleep(0.5)
    await plainly(exchange)


async def dead_chat(folder: Path, scale: float) -> list[Row]:
    """Three proxies at once, each with a LlamaChat of its own: one answers, one says nothing, one is not
    there. Each gets the same newCases and questions, and whatever else goes on here meets all three."""
    seconds = max(5.0, _SECONDS * scale)
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(system())
        places = [await _place(folder / name, platform, stack) for name in ("alive", "silent", "gone")]
        places[1].chat.spoilt = ("send", hang)
        places[2].chat.deafen()
        await places[2].chat.hang_up()
        await steadily(_RATE, round(_RATE * seconds), lambda number: _call(places, number))
    count = sum(len(each.seconds) for each in places)
    failed = [cause for each in places for cause in each.failed]
    alive, *dead = (percentile(each.seconds, 99) * 1000 for each in places)
    figure = " and ".join(f"{each:.0f} ms" for each in dead)
    return [
        _row("a dead LlamaChat: no newCase fails", f"{len(failed)} of {count} failed", met=not failed),
        _row(
            "a dead LlamaChat: newCase's p99 ≤ + 10 %",
            f"silent and gone: {figure}; alive: {alive:.0f} ms",
            met=max(dead) <= 1.1 * alive,
        ),
    ]


@dataclass
class _Place:
    """A proxy in a process of its own."""

    api: Api
    chat: System
    questions: list[Ask]
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: set[asyncio.Task[Told]] = field(default_factory=set)


async def _place(folder: Path, platform: System, stack: AsyncExitStack) -> _Place:
    await asyncio.to_thread(folder.mkdir)
    chat = await stack.enter_async_context(system())
    api = await stack.enter_async_context(serving(folder, platform.url, chat.url))
    place = _Place(api, chat, [await prepared(api, "send") for _ in range(10)])
    stack.callback(lambda: [task.cancel() for task in place.asked])
    return place


async def _call(places: list[_Place], number: int) -> None:
    """A newCase for one of them, and now and then a question, which nobody waits for."""
    place = places[number % len(places)]
    if number % 4 == 0:
        place.asked.add(asyncio.ensure_future(place.questions[number % len(place.questions)]()))
    told = await (await prepared(place.api, "me"))()
    place.seconds.append(told.seconds)
    if not told.own:
        place.failed.append(told.cause)


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("upstreams", goal, figure, met)
