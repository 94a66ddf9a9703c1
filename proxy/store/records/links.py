"""Stores linked cases: the second upstream case that is made for new audio (CONTRACT S05)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from proxy.store.presence import Presence
from proxy.store.sql.database import Database, runs_again
from proxy.store.sql.rows import Lives, batches, insert_missing, left_over, nobody, own_spelling, upsert
from proxy.store.sql.tables import cases, links
from proxy.values import LinkedCase, PendingCall, folded_id

_FLOW: Final = "speech_to_text"  # the flow that makes these calls
_INTERRUPTED: Final = "interrupted"
_PENDING: Final = "pending"
_OF_CASES: Final = select(links).where(links.c.case_id.in_(bindparam("case_ids", expanding=True)))
_MAY_BEGIN: Final = (None, _PENDING, "failed")


@dataclass(frozen=True, slots=True)
class Links:
    """The linked cases, one row per (case, SHA-256 of the audio).

    A row is pending, then intent, then done, failed or ambiguous. `presence` is that of the process that
    writes it.
    """

    database: Database
    presence: Presence

    async def plan(self, case_id: str, digests: Sequence[str], at: datetime) -> None:
        """Notes that the case will be made: if this process ends before it begins, another one sees it."""
        same = {
            "case_id": folded_id(case_id),
            "state": _PENDING,
            "created_at": at,
            "process": self.presence.name,
        }
        rows = [{**same, "digest": each} for each in digests]
        await self.database.write(lambda conn: insert_missing(conn, links, rows), found=runs_again)

    async def begin(self, case_id: str, digest: str, at: datetime) -> bool:
        """Writes the intent and returns True. Returns False when an earlier intent did not clearly fail.

        After False nothing may be sent.
        """
        key = {"case_id": folded_id(case_id), "digest": digest}
        values = {"state": "intent", "cause": None, "created_at": at, "process": self.presence.name}

        def work(conn: Connection) -> bool:
            state = conn.execute(select(links.c.state).filter_by(**key)).scalar_one_or_none()
            if state not in _MAY_BEGIN:
                return False
            upsert(conn, links, key, values)
            return True

        def found(conn: Connection) -> bool:
            return conn.execute(select(links.c.digest).filter_by(**key, **values)).first() is not None

        return await self.database.write(work, turns=[("link", *key.values())], found=found)

    async def done(self, case_id: str, digest: str, linked_case_id: str) -> None:
        """Stores the id of the case that was made."""
        linked = {
            "linked_case_id": folded_id(linked_case_id),
            "linked_spelling": own_spelling(linked_case_id),
        }
        await self._set(case_id, digest, state="done", cause=None, **linked)

    async def fail(self, case_id: str, digest: str, cause: str, *, ambiguous: bool) -> None:
        """Notes a failure; `cause` is a short code. Only one that is not ambiguous may be tried again."""
        await self._set(case_id, digest, state="ambiguous" if ambiguous else "failed", cause=cause)

    async def put_off(self, case_id: str, digest: str, cause: str) -> None:
        """Makes the case pending again, as `plan` leaves it: nothing was sent, and it will be tried again."""
        await self._set(case_id, digest, state=_PENDING, cause=cause)

    async def pending(self, lives: Lives = nobody) -> list[LinkedCase]:
        """Returns the linked cases that dead processes had planned or put off, oldest first."""

        def work(conn: Connection) -> list[LinkedCase]:
            query = select(links).where(links.c.state == _PENDING).order_by(links.c.created_at)
            return [_linked(row) for row in conn.execute(query) if not lives(conn, row.process)]

        return await self.database.read(work)

    async def ambiguous(self) -> list[PendingCall]:
        """Returns one call for each case that may have been made, even when several recordings are for it."""
        named = func.coalesce(cases.c.spelling, links.c.case_id).label("case_id")
        asked = select(named, links.c.cause, links.c.created_at).distinct()
        query = asked.outerjoin(cases, cases.c.id == links.c.case_id).where(links.c.state == "ambiguous")

        def work(conn: Connection) -> list[PendingCall]:
            return [PendingCall(row.case_id, _FLOW, row.cause, row.created_at) for row in conn.execute(query)]

        return await self.database.read(work)

    async def of(self, case_id: str) -> list[LinkedCase]:
        """Returns all rows of the case, oldest first."""
        return await self.of_cases([case_id])

    async def of_cases(self, case_ids: Sequence[str]) -> list[LinkedCase]:
        """Returns all rows of these cases, oldest first."""
        return await self.database.lookup(lambda conn: links_of(conn, case_ids))

    async def resolve_abandoned(self, lives: Lives = nobody) -> int:
        """Makes the intents of dead processes ambiguous; returns how many."""

        def work(conn: Connection) -> int:
            left = update(links).where(left_over(conn, links, lives))
            return conn.execute(left.values(state="ambiguous", cause=_INTERRUPTED)).rowcount

        return await self.database.write(work)

    async def _set(self, case_id: str, digest: str, **values: str | None) -> None:
        def work(conn: Connection) -> None:
            same = update(links).filter_by(case_id=folded_id(case_id), digest=digest)
            conn.execute(same.values(**values))

        await self.database.write(work, found=runs_again)


def links_of(conn: Connection, case_ids: Sequence[str]) -> list[LinkedCase]:
    """Returns all links of these cases, oldest first."""
    found: list[LinkedCase] = []
    for batch in batches([folded_id(each) for each in case_ids]):
        found += [_linked(row) for row in conn.execute(_OF_CASES, {"case_ids": batch})]
    return sorted(found, key=attrgetter("created_at"))


def _linked(row: Row[Any]) -> LinkedCase:
    linked = row.linked_spelling or row.linked_case_id
    return LinkedCase(row.case_id, row.digest, row.state, linked, row.cause, row.created_at)
