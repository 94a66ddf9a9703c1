"""Stores linked cases: the second upstream case that is made for new audio (CONTRACT S05)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Update, bindparam, func, select, update

from proxy.store.presence import Presence
from proxy.store.records.in_hand import InHand
from proxy.store.sql.database import Database, runs_again
from proxy.store.sql.rows import (
    Lives,
    batches,
    has_row,
    insert_missing,
    left_over,
    nobody,
    own_spelling,
    upsert,
)
from proxy.store.sql.tables import cases, links
from proxy.values import LinkedCase, Origin, PendingCall, folded_id

FLOW: Final = "speech_to_text"  # the flow that makes these calls
_INTERRUPTED: Final = "interrupted"
_PENDING: Final = "pending"
_OWN_OPEN: Final = select(links.c.case_id, links.c.digest, links.c.attempt).where(
    links.c.state == "intent", links.c.process == bindparam("me")
)
_OF_CASES: Final = select(links).where(links.c.case_id.in_(bindparam("case_ids", expanding=True)))
_MAY_BEGIN: Final = (None, _PENDING, "failed")
_OPEN: Final = ("intent", "ambiguous")  # the states that a late outcome may still resolve
# The linked cases that operators have to look at.
OPEN_LINK: Final = (links.c.state == "ambiguous", links.c.resolution.is_(None))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to make a linked case: only it writes its outcome, and only once."""

    case_id: str
    digest: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Links:
    """The linked cases, one row per (case, SHA-256 of the audio).

    A row is pending, then intent, then done, failed or ambiguous. `presence` is that of the process that
    writes it. `in_hand` has the rows (case, digest) on which a task of this process works: from before `plan`
    or `begin` to its end.
    """

    database: Database
    presence: Presence
    new_nonce: Callable[[], str]
    in_hand: InHand = field(default_factory=InHand)

    async def plan(
        self, case_id: str, digests: Sequence[str], at: datetime, origin: Origin | None = None
    ) -> None:
        """Notes that the case will be made: if this process ends before it begins, another one sees it."""
        same = {
            "case_id": folded_id(case_id),
            "state": _PENDING,
            "created_at": at,
            "process": self.presence.name,
            **_columns(origin),
        }
        rows = [{**same, "digest": each} for each in digests]
        await self.database.write(lambda conn: insert_missing(conn, links, rows), found=runs_again)

    async def begin(
        self, case_id: str, digest: str, at: datetime, origin: Origin | None = None
    ) -> Attempt | None:
        """Writes the intent and returns its attempt, or None when an earlier intent did not clearly fail.

        After None nothing may be sent. Without `origin`, the row's own stays.
        """
        attempt = Attempt(folded_id(case_id), digest, self.new_nonce())
        key = {"case_id": attempt.case_id, "digest": digest}
        own = {"state": "intent", "cause": None, "created_at": at, "process": self.presence.name}
        values = {**own, **_columns(origin)}

        def work(conn: Connection) -> Attempt | None:
            state = conn.execute(select(links.c.state).filter_by(**key)).scalar_one_or_none()
            if state not in _MAY_BEGIN:
                return None
            upsert(conn, links, key, {**values, "attempt": attempt.nonce})
            return attempt

        found = partial(has_row, table=links, values={**_key(attempt), "state": "intent"})
        return await self.database.write(work, turns=[("link", *key.values())], found=found)

    async def done(self, attempt: Attempt, linked_case_id: str) -> bool:
        """Stores the id of the case that was made. Returns False when the attempt's row is gone."""
        linked = {
            "linked_case_id": folded_id(linked_case_id),
            "linked_spelling": own_spelling(linked_case_id),
        }
        return await self._set(attempt, state="done", cause=None, **linked)

    async def fail(self, attempt: Attempt, cause: str, *, ambiguous: bool) -> bool:
        """Notes a failure; `cause` is a short code. Only one that is not ambiguous may be tried again.

        Returns False when the attempt's row is gone, or closed by an operator.
        """
        state = "ambiguous" if ambiguous else "failed"
        return await self._set(attempt, links.c.resolution.is_(None), state=state, cause=cause)

    async def put_off(self, attempt: Attempt, cause: str) -> bool:
        """Makes the case pending again, as `plan` leaves it: nothing was sent, and it will be tried again.

        Returns False when the attempt's row is gone, or closed by an operator.
        """
        return await self._set(attempt, links.c.resolution.is_(None), state=_PENDING, cause=cause)

    async def pending(self, lives: Lives = nobody) -> list[LinkedCase]:
        """Returns the planned or put off cases on which nobody works, oldest first.

        They are those of dead processes, and those of this process that none of its tasks has in hand. The
        rows are read first, and compared with what is in hand afterwards.
        """

        def work(conn: Connection) -> list[LinkedCase]:
            query = select(links).where(links.c.state == _PENDING).order_by(links.c.created_at)
            mine = self.presence.name
            rows = [row for row in conn.execute(query) if row.process == mine or not lives(conn, row.process)]
            return [_linked(row) for row in rows]

        found = await self.database.read(work)
        return [each for each in found if (each.legacy_id, each.digest) not in self.in_hand]

    async def ambiguous(self) -> list[PendingCall]:
        """Returns one call for each case that may have been made, even when several recordings are for it."""
        named = func.coalesce(cases.c.spelling, links.c.case_id).label("case_id")
        own = links.c.cause, links.c.created_at, links.c.request_id, links.c.organization
        asked = select(named, *own).distinct()
        query = asked.outerjoin(cases, cases.c.id == links.c.case_id).where(*OPEN_LINK)

        def work(conn: Connection) -> list[PendingCall]:
            return [
                PendingCall(each.case_id, FLOW, each.cause, each.created_at, origin=_origin(each))
                for each in conn.execute(query)
            ]

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

    async def resolve_own(self) -> int:
        """Makes this process's intents ambiguous that none of its tasks has in hand; returns how many.

        Their outcomes could not be written. As in `pending`, the rows are read first. An attempt that has
        begun since then is another one.
        """

        def read(conn: Connection) -> list[Row[Any]]:
            return [*conn.execute(_OWN_OPEN, {"me": self.presence.name})]

        found = await self.database.lookup(read)
        left = [row for row in found if (row.case_id, row.digest) not in self.in_hand]
        if not left:
            return 0

        def work(conn: Connection) -> int:
            return sum(conn.execute(_left(row)).rowcount for row in left)

        return await self.database.write(work, found=runs_again)

    async def _set(self, attempt: Attempt, *also: ColumnElement[bool], **values: str | None) -> bool:
        """Writes the outcome of an attempt that is open; returns whether its row is there.

        A failure that comes late opens no row again that an operator has closed: it could be sent again.
        """

        same = _key(attempt)
        ended = update(links).filter_by(**same).where(links.c.state.in_(_OPEN), *also).values(**values)
        found = partial(has_row, table=links, values={**same, **values})
        return await self.database.write(lambda conn: conn.execute(ended).rowcount == 1, found=found)


def links_of(conn: Connection, case_ids: Sequence[str]) -> list[LinkedCase]:
    """Returns all links of these cases, oldest first."""
    found: list[LinkedCase] = []
    for batch in batches([folded_id(each) for each in case_ids]):
        found += [_linked(row) for row in conn.execute(_OF_CASES, {"case_ids": batch})]
    return sorted(found, key=attrgetter("created_at"))


def _linked(row: Row[Any]) -> LinkedCase:
    # A case that an operator has named is not given to the client.
    linked = row.linked_spelling or row.linked_case_id if row.state == "done" else None
    return LinkedCase(row.case_id, row.digest, row.state, linked, row.cause, row.created_at)


def _columns(origin: Origin | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {"request_id": origin.request_id, "organization": origin.organization}


def _origin(row: Any) -> Origin | None:
    return Origin(row.request_id, row.organization or "") if row.request_id else None


def _key(attempt: Attempt) -> dict[str, str]:
    return {"case_id": attempt.case_id, "digest": attempt.digest, "attempt": attempt.nonce}


def _left(row: Row[Any]) -> Update:
    """Returns the statement that makes one attempt ambiguous which nobody ends."""
    same = update(links).filter_by(case_id=row.case_id, digest=row.digest, state="intent")
    of_attempt = same.where(links.c.attempt.is_not_distinct_from(row.attempt))
    return of_attempt.values(state="ambiguous", cause=_INTERRUPTED)
