"""The protocol of a database: units of work run on it, whichever engine it is (DESIGN "State")."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection

from proxy.store.sql.point_reads import PointRead

T = TypeVar("T")
# A unit of work. It does nothing but use its connection, for it may hold up others, and may run twice.
Work: TypeAlias = Callable[[Connection], T]

# The name of what only one write at a time may change: a kind, and the ids of one thing of that kind.
Turn: TypeAlias = tuple[str, ...]

# The key in a connection's `info` under which a unit of work leaves the subjects of changes that end values
# in memory. A database forgets them before the caller of the write goes on.
NOTED: Final = "noted"


def runs_again(_conn: Connection) -> bool:
    """Finds no write: the `found` of a unit of work that may run twice, since it leaves the same."""
    return False


class Database(Protocol):
    """An open database; `open_store` makes it."""

    async def lookup(self, work: Work[T]) -> T:
        """Runs a short `work` as `read` does, as fast as the engine can: for a few rows by their keys."""
        ...

    async def find(self, read: PointRead, **values: Any) -> Any:
        """Returns the first row of one point read, None where there is none."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on one consistent state of the database; it can't write. StoreError when that fails."""
        ...

    async def write(
        self,
        work: Work[T],
        *,
        turns: Sequence[Turn] = (),
        found: Work[bool] | None = None,
        single: bool = False,
    ) -> T:
        """Runs `work`, and returns once what it wrote is on disk.

        While it runs, no other write of any process has one of its `turns`: a work needs them that first
        reads and then writes what it has read. `found` is for a commit whose result is unknown, since the
        connection broke: it returns whether the rows of `work` are there; if not, `work` runs again. Without
        `found`, such a write fails, and may be done all the same.

        A `single` work ends with its one statement that writes, which may be its own transaction, and returns
        None.

        What `work` raises comes back, with nothing of it written; StoreError when the database refused it,
        the commit failed or the store is closed. A caller that is cancelled while it waits can't know whether
        it was written.
        """
        ...

    async def scrub(self) -> None:
        """Leaves no trace of what was removed, as far as the engine can. StoreError when that fails."""
        ...
