"""Schedules calls for later, so that a time limit needs no task that watches a clock."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias


class Timer(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None: ...


Later: TypeAlias = Callable[[float, Callable[[], None]], Timer]


def later(seconds: float, call: Callable[[], None]) -> Timer:
    """Schedules the call on the running event loop, after so many seconds."""
    return asyncio.get_running_loop().call_later(seconds, call)
