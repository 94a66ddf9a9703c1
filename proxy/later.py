"""Calls that are to come, so that what ends after a while needs no task that looks at a clock."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None: ...


Later: TypeAlias = Callable[[float, Callable[[], None]], Timer]


def later(seconds: float, call: Callable[[], None]) -> Timer:
    """Has the event loop that runs make the call after so many seconds."""
    return asyncio.get_running_loop().call_later(seconds, call)
