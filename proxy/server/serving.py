"""The state of a process that serves: whether it takes new requests, and which ones serve beside it."""

import asyncio
from collections.abc import Mapping
from typing import Protocol


class Siblings(Protocol):
    """The other workers of the same service."""

    async def samples(self) -> Mapping[str, str]:
        """Returns the metrics of those that answer within a second, as they encode them, by their names."""
        ...

    def reload(self) -> None:
        """Makes all workers, this one too, read mapping files and certificate again."""
        ...

    def roll(self) -> None:
        """Replaces the workers, this one too, one after the other."""
        ...


class Alone:
    """A process without other workers (`Siblings`)."""

    async def samples(self) -> Mapping[str, str]:
        return {}

    def reload(self) -> None:
        """Does nothing: this process reloads by itself."""

    def roll(self) -> None:
        """Does nothing: there is no other process to take over."""


class Serving:
    """The state of serving. `accepting` is false, and `stopping` set, once this process begins to end.

    `workers` processes serve side by side, and `ready` of them do now, including this one. `held` is the
    reason why the retention is on hold, if it is. `name` is this worker's.
    """

    def __init__(self) -> None:
        self.accepting = True
        self.stopping = asyncio.Event()
        self.ready, self.workers = 1, 1
        self.held: str | None = None
        self.name = "worker-1"
        self.siblings: Siblings = Alone()

    def stop(self) -> None:
        self.accepting = False
        self.stopping.set()
