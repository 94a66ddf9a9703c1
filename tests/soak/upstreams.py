"""Upstreams that misbehave in every way there is, 30 times each; and a breaker, and a dead LlamaChat."""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proxy.upstream.breaker import FAILURES, OPEN_SECONDS
from tests.conftest import Api
from tests.faults.asks import Ask, Told, prepared
from tests.faults.facing import facing, serving
from tests.faults.kinds import hang, kinds, reset_after_the_request
from tests.faults.legacy import NAMES, impatient, passed_on, passing
from tests.faults.misbehaving import Figures, misbehave, settled, sockets, tasks
from tests.faults.system import CHAT, PLATFORM, Exchange, System, Target, system
from tests.soak.process import percentile, steadily
from tests.soak.rows import Row

_TIMES: Final = 30
_RATE: Final = 30.0
_SECONDS: Final = 60.0


async def run(scale: float) -> list[Row]:
    """Takes about eight minutes at full size."""
    with TemporaryDirectory(prefix="michiq-soak-") as name:
        folder = Path(name)
        return [
            *await _misbehaving(_made(folder / "all"), max(1, round(_TIMES * scale))),
            await _legacy(_made(folder / "legacy"), max(1, round(_TIMES * scale))),
            await _retries(_made(folder / "retries"), max(20, round(300 * scale))),
            *await _breaker(_made(folder / "breaker")),
            *await _dead_chat(_made(folder / "dead"), scale),
        ]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def _misbehaving(folder: Path, times: int) -> list[Row]:
    platforms, chats = Figures(), Figures()
    async with system() as elsewhere, system() as platform, system() as chat:
        # Where the environment names a proxy it is not asked either.
        os.environ["http_proxy"] = os.environ["ALL_PROXY"] = elsewhere.url
        async with facing(folder, platform.url, chat.url) as api:
            every = kinds(elsewhere.url)
            assert (await (await prepared(api, "send"))()).own
            await settled(api, (platform, chat))
            before = tasks(), sockets()
            await _each_kind(api, platform, PLATFORM, times, platforms, elsewhere.url)
            await _each_kind(api, chat, CHAT, times, chats, elsewhere.url)
            await settled(api, (platform, chat))
            left = await _left(before)
        del os.environ["http_proxy"], os.environ["ALL_PROXY"]
        called = elsewhere.connections
    slowest = max(platforms.slowest, chats.slowest)
    return [
        _answers("Llamalitica", len(every), times, platforms),
        _answers("LlamaChat", len(every), times, chats),
        _row("no answer later than budget + 1 s", f"budget + {max(0.0, slowest):.2f} s", met=slowest <= 1),
        _row("tasks and sockets are back", left or "all are", met=not left),
        _row("no call to another host", f"{called} of redirects, proxies, cookies", met=not called),
    ]


async def _each_kind(
    api: Api, at: System, targets: tuple[Target, ...], times: int, figures: Figures, elsewhere: str
) -> None:
    for name, kind in kinds(elsewhere).items():
        shares = [len(range(number, times, len(targets))) for number in range(len(targets))]
        for target, share in zip(targets, shares, strict=True):
            await misbehave(api, at, target, name, kind, share, figures)


async def _left(before: tuple[object, int]) -> str:
    """What is there that was not there before, after what the proxy's own client keeps for a while."""
    for _ in range(200):
        if (tasks(), sockets()) == before:
            return ""
        await asyncio.sleep(0.1)
    more = sockets() - before[1]
    return "" if tasks() == before[0] and more <= 0 else f"{more} sockets, {tasks()}"


def _answers(who: str, count: int, times: int, figures: Figures) -> Row:
    goal = f"{who}: {count} kinds × {times}: the documented answer, and a good one after it"
    first = f": {figures.wrong[0]}" if figures.wrong else ""
    return _row(goal, f"{len(figures.told)} calls, {len(figures.wrong)} wrong{first}", met=not figures.wrong)


async def _legacy(folder: Path, times: int) -> Row:
    found: list[str] = []
    async with system() as elsewhere, system() as legacy, passing(folder, legacy.url) as api:
        every = kinds(elsewhere.url)
        with impatient():
            for name in NAMES:
                found += await passed_on(api, legacy, name, every[name], times)
        called = elsewhere.connections
    goal = f"legacy server: {len(NAMES)} kinds × {times}: passed on, or the documented answer"
    figure = f"{len(found)} wrong, {called} calls to another host" + (f": {found[0]}" if found else "")
    return _row(goal, figure, met=not found and not called)


async def _retries(folder: Path, count: int) -> Row:
    """Every second user meets a platform that hangs up on them; the others keep the breaker closed."""
    async with system() as platform, system() as chat, facing(folder, platform.url, chat.url) as api:
        ask = await prepared(api, "me")
        for number in range(count):
            platform.spoilt = ("me", reset_after_the_request) if number % 2 else None
            await ask()
        platform.spoilt = None
    users = sum(number for (target, _), number in platform.arrived.items() if target == "me")
    cases = sum(number for (target, _), number in platform.arrived.items() if target == "create")
    more = users - count
    share = more / (users + cases - more)
    posts = "no POST twice" if cases == count - count // 2 else "POSTs sent twice"
    return _row(
        "retries ≤ 20 % of the calls", f"{share:.1%} ({more}), {posts}", met=share <= 0.2 and posts[0] == "n"
    )


async def _breaker(folder: Path) -> list[Row]:
    async with system() as platform, system() as chat, facing(folder, platform.url, chat.url) as api:
        asks = [await prepared(api, "start") for _ in range(20)]
        chat.deafen()
        first = [(await asks[0]()).cause for _ in range(FAILURES + 1)]
        opened = time.monotonic()
        told = [await asks[number % 20]() for number in range(200)]
        slowest = max(each.seconds for each in told)
        refused = all(each.cause == "llamachat-breaker-open" for each in told)
        await chat.listen()
        chat.spoilt = ("start", _slow_failure)
        await asyncio.sleep(opened + OPEN_SECONDS - time.monotonic() + 0.1)
        probed = [each.cause for each in await asyncio.gather(*(ask() for ask in asks))]
        chat.spoilt = None
        await asyncio.sleep(OPEN_SECONDS + 0.1)
        good = await asks[0]()
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


async def _slow_failure(_: Exchange) -> None:
    await asyncio.sleep(0.3)
    raise ConnectionAbortedError


async def _dead_chat(folder: Path, scale: float) -> list[Row]:
    """Three proxies at once, each with a LlamaChat of its own: one answers, one says nothing, one is not
    there. Each gets the same newCases and questions, and whatever else goes on here meets all three."""
    seconds = max(5.0, _SECONDS * scale)
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(system())
        places = [await _place(_made(folder / name), platform, stack) for name in ("alive", "silent", "gone")]
        places[1].chat.spoilt = ("send", hang)
        places[2].chat.deafen()
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
