"""Callers who come back after a while, before a platform that closes what has been idle by then."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from tests.conftest import IDENTITY, Api
from tests.faults.asks import new_case
from tests.faults.facing import facing
from tests.faults.system import System, system


@dataclass
class Figures:
    """The figures of a run."""

    calls: int = 0
    ambiguous: int = 0
    connections: int = 0
    failed: Counter[str] = field(default_factory=Counter)


async def come_back(folder: Path, callers: int, times: int, idle_seconds: float, seed: int) -> Figures:
    """Lets each caller make so many cases, after pauses of which some exceed the platform's limit."""
    figures = Figures()
    async with system() as platform, system() as chat, facing(folder, platform.url, chat.url) as api:
        platform.idle_seconds = idle_seconds
        call = partial(_caller, api, times, idle_seconds, figures)
        users = [f"u{number}@clinica.example" for number in range(callers)]
        await asyncio.gather(*(call(user, Random(f"{seed} {user}")) for user in users))
        figures.ambiguous = len(await api.proxy.deps.store.journal.pending())
        figures.connections = platform.connections
        _count_twice(platform, callers * times, figures)
    return figures


async def _caller(
    api: Api, times: int, idle_seconds: float, figures: Figures, user: str, chance: Random
) -> None:
    for _ in range(times):
        await asyncio.sleep(chance.uniform(0, 1.4) * idle_seconds)
        told = await new_case(api, {**IDENTITY, "user_mail": user})
        figures.calls += 1
        if not told.own:
            figures.failed[told.cause] += 1


def _count_twice(platform: System, asked: int, figures: Figures) -> None:
    made = sum(map(len, platform.made.values()))
    if made != asked:
        figures.failed["made-otherwise"] += abs(made - asked)
