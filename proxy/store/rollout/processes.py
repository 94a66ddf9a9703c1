"""Stores the heartbeats of processes: how far each follows the overrides, and which files it refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select

from proxy.store.sql.clock import database_time
from proxy.store.sql.database import Database, runs_again
from proxy.store.sql.rows import upsert_computed
from proxy.store.sql.tables import processes
from proxy.values import Json

# A process without a heartbeat for so long is gone: three heartbeats, and a moment.
LIVE: Final = timedelta(seconds=10)
_FORGOTTEN: Final = timedelta(days=1)  # the row of a process that was killed


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its last heartbeat.

    `name` is its host and process number. `mappings` is the digest of the files that it serves, `rejected`
    the complaints about newer ones. `keys` are the fingerprints of its keys, the one it seals with first;
    there are none from a release that did not report them. `changes` is the newest change that it has
    followed (see `Changes`); None from a release that caches nothing. `about` is what the process says of
    itself (version, memory, queues); None from an earlier release.
    """

    id: str
    name: str
    started_at: datetime
    seen_at: datetime
    revision: int
    mappings: str
    rejected: tuple[str, ...]
    keys: tuple[str, ...] = ()
    changes: int | None = None
    about: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes, a row each, which every heartbeat writes again."""

    database: Database

    async def report(
        self,
        id: str,  # noqa: A002
        name: str,
        *,
        revision: int,
        mappings_digest: str,
        rejected: Sequence[str],
        keys: Sequence[str] = (),
        changes: int | None = None,
        about: Mapping[str, Json] | None = None,
        started_at: datetime,
        at: datetime,
    ) -> None:
        """Writes a heartbeat, and removes the rows of processes that ended long ago.

        On a database that several machines share, the database's clock gives the time instead of `at`.
        """
        values = {
            "name": name,
            "started_at": started_at,
            "revision": revision,
            "mappings": mappings_digest,
            "rejected": list(rejected),
            "keys": list(keys),
            "changes": changes,
            "about": about,
        }

        def work(conn: Connection) -> None:
            upsert_computed(conn, processes, {"id": id}, {**values, "seen_at": database_time(conn, at)})
            long_ago = database_time(conn, at, -_FORGOTTEN)
            conn.execute(delete(processes).where(processes.c.seen_at < long_ago))

        await self.database.write(work, found=runs_again)

    async def leave(self, id: str) -> None:  # noqa: A002
        """Removes the row of a process that ends, so that nobody waits for it."""

        def work(conn: Connection) -> None:
            conn.execute(delete(processes).where(processes.c.id == id))

        await self.database.write(work, found=runs_again)

    async def live(self, now: datetime, within: timedelta = LIVE) -> list[Process]:
        """Returns the processes with a heartbeat within that time, by name; the clock is that of `report`."""

        def work(conn: Connection) -> list[Process]:
            recent = select(processes).where(processes.c.seen_at >= database_time(conn, now, -within))
            return [_process(row) for row in conn.execute(recent.order_by(processes.c.name))]

        return await self.database.read(work)


def _process(row: Row[Any]) -> Process:
    return Process(**{**row._asdict(), "rejected": tuple(row.rejected), "keys": tuple(row.keys or ())})
