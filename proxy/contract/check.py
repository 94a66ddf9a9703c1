"""A check: the contract row that it proves, the hosts that it binds, and the data that it leaves behind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from proxy.contract.probe import Probe
from proxy.contract.routes import Route
from proxy.contract.verdicts import NotApplicable

Run: TypeAlias = Callable[[Probe], Awaitable[None]]


class Binds(Enum):
    """The hosts that a check binds (CONTRACT, preamble)."""

    ALL = "every host: the documents say so"
    FOLLOWERS = "a michiq-proxy; another host follows or not, for the documents are silent"
    PROXY = "a michiq-proxy; nothing is sent to another host"
    NOBODY = "no client can see it"


class Writes(NamedTuple):
    """The data that a check makes on a faithful host, beside the cases that all checks share."""

    cases: int = 0
    recordings: int = 0
    questions: int = 0


SHARED: Final = Writes()  # needs a case or a token, makes nothing of its own


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a run. `writes` is None when a faithful host stores nothing of it."""

    row: str
    route: str
    title: str
    binds: Binds
    writes: Writes | None
    run: Run = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.row} {self.route}: {self.title}"


def documented(row: str, route: Route, title: str, writes: Writes | None = None) -> Callable[[Run], Check]:
    """Returns a decorator that makes a coroutine a check that binds every host."""
    return lambda run: Check(row, route.name, title, Binds.ALL, writes, run)


def chosen(row: str, route: Route, title: str, writes: Writes | None = None) -> Callable[[Run], Check]:
    """Returns a decorator for a check of our own choice, where the documents are silent."""
    return lambda run: Check(row, route.name, title, Binds.FOLLOWERS, writes, run)


def proxys_own(row: str, route: Route, title: str, writes: Writes | None = None) -> Callable[[Run], Check]:
    """Returns a decorator for a check of something that no legacy server has."""
    return lambda run: Check(row, route.name, title, Binds.PROXY, writes, run)


def unseen(row: str, route: Route, title: str, why: str) -> Check:
    """Returns a check that stands for a row that no client can see."""

    async def run(_: Probe) -> None:
        raise NotApplicable(why)

    return Check(row, route.name, title, Binds.NOBODY, None, run)
