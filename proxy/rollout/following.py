"""Waits until every live process follows a revision, of the overrides or of the changes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final

from proxy.store.rollout.processes import Process, Processes

_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Following:
    """The live processes: those that follow the revision, and those that are behind."""

    following: tuple[Process, ...]
    behind: tuple[Process, ...]


def overrides_of(process: Process) -> int:
    """Returns the revision of the overrides that the process has in force."""
    return process.revision


def changes_of(process: Process) -> float:
    """Returns the newest change that the process has followed; infinity when it holds nothing in memory."""
    return inf if process.changes is None else process.changes


async def wait_for(
    processes: Processes,
    revision: int,
    seconds: float,
    of: Callable[[Process], float] = overrides_of,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Following:
    """Returns the live processes once none is behind, or the seconds are over.

    A process without a heartbeat for 10 s is not live.
    """
    end = clock() + timedelta(seconds=seconds)
    while True:
        now = clock()
        live = await processes.live(now)
        behind = tuple(each for each in live if of(each) < revision)
        if not behind or now >= end:
            return Following(tuple(each for each in live if of(each) >= revision), behind)
        await pause(_POLL_SECONDS)
