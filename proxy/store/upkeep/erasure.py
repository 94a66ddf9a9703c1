"""Removes all that is stored of a case or of a user, on demand, with a row in the audit."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, delete, func, select

from proxy.store.audit.trail import CASE_ERASED, Audit, AuditEvent, erasure_turn
from proxy.store.blobs.protocol import Blobs
from proxy.store.records.owners import Owners
from proxy.store.records.sessions import delete_unused_keys
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.changes import delete_changes, note_change
from proxy.store.sql.database import Database, Turn, runs_again
from proxy.store.sql.memory import ALL
from proxy.store.sql.rows import has_one_writer
from proxy.store.sql.tables import chunks, recordings
from proxy.store.upkeep.subjects import OfCase, OfUser, SubjectRows, Whose, lock_user, noted_late, theirs

__all__ = ["Erasure", "OfCase", "OfUser", "Removed", "Whose"]

# The number of rows of each kind, under a word for the kind; kinds without rows are left out.
Removed: TypeAlias = Mapping[str, int]


class _TurnsNeeded(Exception):
    """An error: there are cases whose turns the write does not have; nothing was removed."""

    def __init__(self, turns: Set[Turn]) -> None:
        super().__init__(f"{len(turns)} turns are needed")
        self.turns = turns


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases at once: data that comes in afterwards is new, and stays. The audit stays: it names nobody."""

    database: Database
    sealer: Sealer
    audit: Audit
    blobs: Blobs
    owners: Owners

    async def whole(self, whose: Whose) -> Whose:
        """Returns the same case, or the same user with all of their older hashes (CONTRACT N06)."""
        if not isinstance(whose, OfUser):
            return whose
        older = {*whose.older, *await self.owners.older_hashes(whose.owner)} - {whose.owner}
        return OfUser(whose.owner, tuple(sorted(older)))

    async def find(self, whose: Whose) -> Removed:
        """Returns the counts of what `erase` would remove."""
        whose = await self.whole(whose)

        def work(conn: Connection) -> Removed:
            parts = theirs(conn, whose).parts
            return _without_zeros({part.what: _count(conn, part) for part in parts})

        return await self.database.read(work)

    def subject(self, whose: Whose) -> str:
        """Returns the keyed hash that stands for the case or the user in the audit."""
        return whose.owner if isinstance(whose, OfUser) else self.sealer.case(whose.id)

    async def erase(self, whose: Whose, actor: str, at: datetime, reason: str | None = None) -> Removed:
        """Removes the rows in one write, then the audio, whose keys have gone with the rows.

        The audit stores `reason`, which names nobody. A call of the case or user that is under way ends in an
        error, for its intent is gone. The database's files still hold traces of the removed rows:
        `Database.scrub` removes these.
        """
        whose = await self.whole(whose)
        turns: set[Turn] = set()

        def work(conn: Connection) -> tuple[Removed, Sequence[str]]:
            if isinstance(whose, OfUser):
                lock_user(conn, whose)
            found = theirs(conn, whose)
            needed = {erasure_turn(self.sealer.case(each)) for each in found.cases}
            if not needed <= turns and not has_one_writer(conn):
                raise _TurnsNeeded(needed)
            names = [name for part in found.parts for name in _blobs(conn, part)]
            removed = _without_zeros({part.what: _delete(conn, part) for part in found.parts})
            delete_unused_keys(conn)
            # The changes go too: their subjects hold hashes of tokens.
            note_change(conn, ALL)
            delete_changes(conn)
            if removed:
                self.audit.append_in(conn, *self._events(whose, found.cases, actor, at, removed, reason))
            return removed, names

        while True:
            try:
                removed, names = await self.database.write(work, turns=sorted(turns))
                break
            except _TurnsNeeded as error:  # the cases are found only within the write
                turns |= error.turns
        for name in names:
            await self.blobs.delete(name)
        return removed

    async def erase_late(self, *owners: str) -> None:
        """Removes the rows that a running proxy wrote of the user's last calls a second after `erase`."""

        def work(conn: Connection) -> None:
            for part in noted_late(owners):
                _delete(conn, part)

        await self.database.write(work, found=runs_again)

    def _events(
        self,
        whose: Whose,
        ids: Sequence[str],
        actor: str,
        at: datetime,
        removed: Removed,
        reason: str | None,
    ) -> list[AuditEvent]:
        """Returns the event of the erasure, and one for each case that was removed.

        By the latter, a report that comes later is recognized as one on an erased case (see `reports`).
        """
        facts = {**removed} if reason is None else {**removed, "reason": reason}
        detail = json.dumps(facts, ensure_ascii=False)
        subjects = [self.sealer.case(each) for each in ids]
        action = "user_erased" if isinstance(whose, OfUser) else CASE_ERASED
        main = AuditEvent(at, actor, action, self.subject(whose), detail)
        others = [AuditEvent(at, actor, CASE_ERASED, each) for each in subjects if each != main.subject]
        return [main, *others]


def _count(conn: Connection, part: SubjectRows) -> int:
    query = select(func.count()).select_from(part.table).where(part.where)
    return conn.execute(query).scalar_one()


def _blobs(conn: Connection, part: SubjectRows) -> Sequence[str]:
    if part.table is not recordings:
        return []
    ids = select(recordings.c.id).where(part.where).order_by(recordings.c.id)
    conn.execute(ids.with_for_update()).all()  # no chunk comes in between its name and its end
    of_them: ColumnElement[bool] = chunks.c.recording_id.in_(select(recordings.c.id).where(part.where))
    return conn.execute(select(chunks.c.blob).where(of_them)).scalars().all()


def _delete(conn: Connection, part: SubjectRows) -> int:
    return conn.execute(delete(part.table).where(part.where)).rowcount


def _without_zeros(counts: Mapping[str, int]) -> Removed:
    return {what: count for what, count in counts.items() if count}
