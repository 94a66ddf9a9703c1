"""Waits until every live process follows a revision of the overrides."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from proxy.store.processes import Process, Processes

_LIVE: Final = timedelta(seconds=10)
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Following:
    """The live processes: those that follow the revision, and those that are behind."""

    following: tuple[Process, ...]
    behind: tuple[Process, ...]


async def wait_for(
    processes: Processes,
    revision: int,
    seconds: float,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Following:
    """Returns when none is behind, or the seconds are over. One not heard of for 10 s is not live."""
    end = clock() + timedelta(seconds=seconds)
    while True:
        now = clock()
        live = await processes.live(now, _LIVE)
        behind = tuple(each for each in live if each.revision < revision)
        if not behind or now >= end:
            return Following(tuple(each for each in live if each.revision >= revision), behind)
        await pause(_POLL_SECONDS)
