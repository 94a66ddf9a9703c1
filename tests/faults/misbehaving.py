"""Runs of misbehaviours against a proxy, and what is left of them: answers, tasks, sockets."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest.mock import patch

from proxy.upstream import breaker
from tests.conftest import Api
from tests.faults.asks import Told, documented, prepared
from tests.faults.facing import TOTAL, hurried
from tests.faults.kinds import Kind
from tests.faults.system import System, Target

# The shortest budget of any call, when nobody hurries it.
LONG = 15.0
_SOCKETS = Path("/proc/self/fd")


@dataclass
class Figures:
    """The figures of a run."""

    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    latest: tuple[float, str] = (-LONG, "")

    def tell(self, name: str, told: Sequence[Told], budget: float, wrongs: Sequence[str | None]) -> None:
        """`latest` is by how much an answer came after the time that its call had."""
        self.calls += len(told)
        self.wrong += [f"{name}: {wrong}" for wrong in wrongs if wrong]
        self.latest = max(self.latest, *((each.seconds - budget, name) for each in told))


# The same caller's next call is on the same connection: it takes the second answer for its own. It fails as
# documented, since that answer is of another kind; nobody else gets it.
_STRUCK: Final[Mapping[tuple[str, Target], tuple[str, ...]]] = {
    ("a late second answer", "me"): ("garbage",),
    ("a late second answer", "start"): ("garbage",),
}


async def misbehave(
    api: Api, at: System, target: Target, name: str, kind: Kind, times: int, figures: Figures
) -> None:
    """Makes so many calls at once to one target that misbehaves, and then one that is answered well.

    Five of them may open the breaker, unless it was told not to stay open.
    """
    asks = await asyncio.gather(*(prepared(api, target) for _ in range(times)))
    hurry = "timeout" in kind.causes
    with hurried() if hurry else nullcontext():
        at.spoilt = (target, kind.script)
        told = await asyncio.gather(*(ask() for ask in asks))
        at.spoilt = None
    again = await (await prepared(api, target))()
    causes = _STRUCK.get((name, target), kind.causes)
    wrongs = [*(documented(target, each, causes) for each in told), documented(target, again, ())]
    figures.tell(f"{name}, {target}", told, TOTAL if hurry else LONG, wrongs)


def tasks() -> Counter[str]:
    """The tasks of this process, by what they run."""
    return Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())


def sockets() -> int:
    """The sockets of this process that are open."""
    return sum(
        str(link.readlink()).startswith("socket:") for link in list(_SOCKETS.iterdir()) if link.is_symlink()
    )


@contextmanager
def never_open() -> Iterator[None]:
    """Breakers let every call through again at once, so that each meets its upstream."""
    with patch.object(breaker, "OPEN_SECONDS", 0.0):
        yield


async def settled(api: Api, systems: Sequence[System]) -> None:
    """Waits until nothing is under way on either side, and ends the connections that the proxy keeps open."""
    await api.proxy.deps.tasks.drain(10)
    for system in systems:
        await system.hang_up()
