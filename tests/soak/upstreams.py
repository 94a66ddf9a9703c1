"""Upstreams that misbehave in every way there is, 30 times each; and a breaker, and a dead LlamaChat."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.captured import captured_log
from tests.conftest import Api
from tests.faults.asks import prepared
from tests.faults.facing import facing
from tests.faults.kinds import kinds
from tests.faults.legacy import NAMES, impatient, passed_on, passing
from tests.faults.misbehaving import Figures, misbehave, never_open, settled, sockets, tasks
from tests.faults.system import CHAT, PLATFORM, System, Target, system
from tests.soak import upstream_limits as limits
from tests.soak.rows import Row

_TIMES: Final = 30


async def run(scale: float) -> list[Row]:
    """Takes about six minutes at full size."""
    with TemporaryDirectory(prefix="michiq-soak-") as name, captured_log() as log:
        folder = Path(name)
        return [
            *await _misbehaving(_made(folder / "all"), max(1, round(_TIMES * scale))),
            await _legacy(_made(folder / "legacy"), max(1, round(_TIMES * scale))),
            await limits.retries(_made(folder / "retries"), max(20, round(300 * scale)), log),
            await limits.full_pool(_made(folder / "pool"), log),
            *await limits.breaker(_made(folder / "breaker")),
            *await limits.dead_chat(_made(folder / "dead"), scale),
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
            with never_open():
                await _each_kind(api, platform, PLATFORM, times, platforms, elsewhere.url)
                await _each_kind(api, chat, CHAT, times, chats, elsewhere.url)
            await settled(api, (platform, chat))
            left = await _left(before)
        del os.environ["http_proxy"], os.environ["ALL_PROXY"]
        called = elsewhere.connections
    late, name = max(platforms.latest, chats.latest)
    return [
        _answers("Llamalitica", len(every), times, platforms),
        _answers("LlamaChat", len(every), times, chats),
        _row("no answer later than budget + 1 s", f"{late:+.2f} s ({name})", met=late <= 1),
        _row("tasks and sockets are back", left or "all are", met=not left),
        _row("no call to another host", f"{called} of redirects, proxies, cookies", met=not called),
    ]


async def _each_kind(
    api: Api, at: System, targets: tuple[Target, ...], times: int, figures: Figures, elsewhere: str
) -> None:
    for name, kind in kinds(elsewhere).items():
        shares = [len(range(number, times, len(targets))) for number in range(len(targets))]
        for target, share in zip(targets, shares, strict=True):
            if share:
                await misbehave(api, at, target, name, kind, share, figures)


async def _left(before: tuple[Counter[str], int]) -> str:
    """Returns the tasks and sockets that were not there before, once the client's idle ones have ended."""
    for _ in range(200):
        if not tasks() - before[0] and sockets() <= before[1]:
            return ""
        await asyncio.sleep(0.1)
    return f"{sockets() - before[1]} sockets, {tasks() - before[0]}"


def _answers(who: str, count: int, times: int, figures: Figures) -> Row:
    goal = f"{who}: {count} kinds × {times}: the documented answer, and a good one after it"
    first = f": {figures.wrong[0]}" if figures.wrong else ""
    return _row(goal, f"{figures.calls} calls, {len(figures.wrong)} wrong{first}", met=not figures.wrong)


async def _legacy(folder: Path, times: int) -> Row:
    found: list[str] = []
    async with system() as elsewhere, system() as legacy, passing(folder, legacy.url) as api:
        every = kinds(elsewhere.url)
        with impatient(), never_open():
            for name in NAMES:
                found += await passed_on(api, legacy, name, every[name], times)
        called = elsewhere.connections
    goal = f"legacy server: {len(NAMES)} kinds × {times}: passed on, or the documented answer"
    figure = f"{len(found)} wrong, {called} calls to another host" + (f": {found[0]}" if found else "")
    return _row(goal, figure, met=not found and not called)


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("upstreams", goal, figure, met)
