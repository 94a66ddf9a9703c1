"""Holds the fences of the locks that a task holds: each of its writes is refused once such a lock is lost."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from proxy.store.errors import StoreError


@dataclass(slots=True, eq=False)
class Fence:
    """The ticket of a lock that is held; the nonce is hexadecimal digits that only its holder has."""

    ticket: int
    nonce: str
    lowered: bool = field(default=False)


# What the current task, and the tasks that it started, hold.
_FENCES: Final[ContextVar[tuple[Fence, ...]]] = ContextVar("fences", default=())


def raise_fence(fence: Fence) -> None:
    """Puts a fence before every later write of this task, and of the tasks that it starts."""
    _FENCES.set((*fences(), fence))


def fences() -> tuple[Fence, ...]:
    """Returns the fences of this task that are not lowered."""
    return tuple(each for each in _FENCES.get() if not each.lowered)


def lock_lost() -> StoreError:
    """Makes the error of a task whose lock was lost while it held it."""
    return StoreError("this process has lost its lock: another one goes on with it")
