"""Writes and reads the audit trail: who did what, about which hashed subject (CONTRACT N05)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal

from sqlalchemy import Connection, insert, select

from proxy.store.audit.accesses import Access, first_of_day
from proxy.store.audit.chain import (
    AuditEvent,
    AuditVerdict,
    Link,
    has_link,
    next_links,
    note_end,
    take_turn,
    verify,
)
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, Turn, Work
from proxy.store.sql.rows import has_one_writer
from proxy.store.sql.tables import audit

__all__ = ["CASE_ERASED", "PROXY", "Access", "Audit", "AuditEvent", "AuditVerdict"]

PROXY: Final = "proxy"  # the actor of what the process does by itself
CASE_ERASED: Final = "case_erased"

_TURN_DIGITS: Final = 2
_NAMES: Final = ("at", "actor", "action", "subject", "detail")
_EVENT: Final = [audit.c[name] for name in _NAMES]


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit trail: rows are only added, each with a keyed hash over itself and the row before it."""

    database: Database
    sealer: Sealer

    async def first_sight(
        self, kind: Literal["user", "organization"], digest: str, at: datetime, older: Sequence[str] = ()
    ) -> bool:
        """Returns whether this user or organization is seen for the first time, and then adds an audit row.

        One that was seen by any of the `older` hashes is not new.
        """
        seen = partial(_seen, action=f"first_{kind}", subjects=(digest, *older))
        if await self.database.read(seen):  # nearly always so: a read does not wait for the writer
            return False
        return await self.database.write(self.first_sighting(kind, digest, at, older))

    def first_sighting(
        self, kind: Literal["user", "organization"], digest: str, at: datetime, older: Sequence[str] = ()
    ) -> Work[bool]:
        """Returns the work of `first_sight`, for a write that does more."""
        event = AuditEvent(at, PROXY, f"first_{kind}", digest)

        def missing(conn: Connection) -> Sequence[AuditEvent]:
            return [] if _seen(conn, event.action, (digest, *older)) else [event]

        return partial(self._append_missing, missing=missing)

    async def add(self, actor: str, action: str, subject_digest: str, at: datetime, detail: str = "") -> None:
        written: list[Link] = []

        def work(conn: Connection) -> None:
            written[:] = self.append_in(conn, AuditEvent(at, actor, action, subject_digest, detail))

        await self.database.write(work, found=lambda conn: has_link(conn, written[-1]))

    def append_in(self, conn: Connection, *events: AuditEvent) -> Sequence[Link]:
        """Adds the rows in the caller's transaction: with everything else that it writes, or not at all.

        No other transaction adds rows until this one has ended. So a unit of work adds its rows at its end.
        """
        if not events:
            return []
        links = next_links(conn, self.sealer, events)
        rows = [
            {"id": link.id, "hash": link.hash, **{name: getattr(event, name) for name in _NAMES}}
            for link, event in zip(links, events, strict=True)
        ]
        conn.execute(insert(audit), rows)
        note_end(conn, self.sealer, links[-1])
        return links

    def accessed(self, conn: Connection, accesses: Sequence[Access]) -> None:
        """Notes in the caller's transaction who opened which case, each once a day."""
        self._append_missing(conn, lambda conn: first_of_day(conn, accesses))

    def _append_missing(
        self, conn: Connection, missing: Callable[[Connection], Sequence[AuditEvent]]
    ) -> bool:
        """Adds the events that are `missing`; returns whether there were any."""
        events = missing(conn)
        if events and not has_one_writer(conn):
            take_turn(conn)
            events = missing(conn)  # another process may have added them since
        self.append_in(conn, *events)
        return bool(events)

    async def all(self) -> list[AuditEvent]:
        """Returns all rows, in the order in which they were written."""
        query = select(*_EVENT).order_by(audit.c.id)

        def work(conn: Connection) -> list[AuditEvent]:
            return [AuditEvent(*row) for row in conn.execute(query)]

        return await self.database.read(work)

    async def newest(self, limit: int, before: int | None = None) -> list[tuple[int, AuditEvent]]:
        """Returns the last rows, newest first, each with its number; those older than the row `before`."""
        query = select(audit.c.id, *_EVENT).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)

        def work(conn: Connection) -> list[tuple[int, AuditEvent]]:
            return [(row.id, AuditEvent(*row[1:])) for row in conn.execute(query)]

        return await self.database.read(work)

    async def verify(self) -> AuditVerdict:
        """Returns whether every row is as it was written, and none is missing or was inserted later.

        A file that was restored as a whole to an earlier state looks like one that never went on. To notice
        that, store a verdict's `end` outside of this machine.
        """
        return await self.database.read(lambda conn: verify(conn, self.sealer))


def _seen(conn: Connection, action: str, subjects: Sequence[str]) -> bool:
    same = audit.c.action == action, audit.c.subject.in_(subjects)
    return conn.execute(select(audit.c.id).where(*same).limit(1)).first() is not None


def erasure_turn(hashed: str) -> Turn:
    """Returns the turn of the case of this hash (`Sealer.case`), for its erasure and what comes of it later.

    Several cases share one turn: a user who is erased may have more cases than a database has locks.
    """
    return "case", hashed[:_TURN_DIGITS]


def is_erased(conn: Connection, hashes: Sequence[str]) -> bool:
    """Returns whether the case of these hashes (`Sealer.case_hashes`) was erased: only the audit says so."""
    row = select(audit.c.id).where(audit.c.action == CASE_ERASED, audit.c.subject.in_(hashes)).limit(1)
    return conn.execute(row).first() is not None
