"""Runs of misbehaviours against a proxy, and what is left of them: answers, tasks, sockets."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import Api
from tests.faults.asks import Told, documented, prepared
from tests.faults.facing import TOTAL, hurried
from tests.faults.kinds import Kind
from tests.faults.system import System, Target

# Fewer than open a breaker.
AT_ONCE = 4
_SOCKETS = Path("/proc/self/fd")


@dataclass
class Figures:
    """What came out of a run."""

    told: list[Told] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        """The most that any answer took beyond the time of its call."""
        return max(each.seconds for each in self.told) - TOTAL


async def misbehave(
    api: Api, at: System, target: Target, name: str, kind: Kind, times: int, figures: Figures
) -> None:
    """So many calls to one target, that misbehaves; between them, calls that are answered well."""
    while times > 0:
        asks = [await prepared(api, target) for _ in range(min(times, AT_ONCE))]
        times -= len(asks)
        with hurried() if "timeout" in kind.causes else nullcontext():
            at.spoilt = (target, kind.script)
            told = await asyncio.gather(*(ask() for ask in asks))
            at.spoilt = None
        again = await (await prepared(api, target))()
        wrongs = [*(documented(target, each, kind.causes) for each in told), documented(target, again, ())]
        figures.told += told
        figures.wrong += [f"{name}, {target}: {wrong}" for wrong in wrongs if wrong]


def tasks() -> Counter[str]:
    """The tasks of this process, by what they run."""
    return Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())


def sockets() -> int:
    """The sockets of this process that are open."""
    return sum(
        str(link.readlink()).startswith("socket:") for link in list(_SOCKETS.iterdir()) if link.is_symlink()
    )


async def settled(api: Api, systems: Sequence[System]) -> None:
    """Nothing is under way any more, on either side; what the proxy keeps open for later is gone too."""
    await api.proxy.deps.tasks.drain(10)
    for system in systems:
        await system.hang_up()
