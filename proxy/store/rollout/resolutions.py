"""Closes calls whose outcome only an operator could find out (CONTRACT N19); nothing is ever sent by that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Table, select, update

from proxy import jsons
from proxy.modes import Via
from proxy.store.audit.chain import Link, has_link
from proxy.store.audit.trail import Audit, AuditEvent
from proxy.store.records.journal import OPEN_CALL
from proxy.store.records.links import FLOW, OPEN_LINK
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.rows import own_spelling
from proxy.store.sql.tables import journal, links
from proxy.times import rfc3339
from proxy.values import LEGACY_ID, Json, folded_id

_ACTION: Final = "pending_resolved"
_LONGEST: Final = 300

# Why a call can't be closed as an operator wants it.
Fault: TypeAlias = Literal["outcome", "reason", "case-id", "names-case", "other-case"]


class BadResolution(Exception):
    """An error: the call can't be closed like this; its text is meant for the operator, in English."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault: Fault = fault


class UnderWay(Exception):
    """An error: a process still works on the call."""


class UnknownCall(Exception):
    """An error: no call with an unknown outcome has this id."""


class AlreadyResolved(Exception):
    """An error: somebody else has closed the call; its text is meant for the operator, in English."""

    def __init__(self, actor: str, at: str, *, made: bool) -> None:
        found = "a case was made" if made else "no case was made"
        super().__init__(f"already resolved by {actor} at {at}: {found}")
        self.actor = actor
        self.made = made


@dataclass(frozen=True, slots=True)
class Resolution:
    """An operator's word on a call: `made` is the id of the case that they found, None if there is none.

    `via` is the surface that the operator used.
    """

    made: str | None
    actor: str
    reason: str
    via: Via


@dataclass(frozen=True, slots=True)
class Resolutions:
    """The operators' findings about calls with an unknown outcome.

    A closed call stays ambiguous: a repeat with its Idempotency-Key is refused as before. Only a late success
    of the call itself counts more than the operator's word.
    """

    database: Database
    sealer: Sealer
    audit: Audit

    async def resolve(self, call_id: str, resolution: Resolution, at: datetime) -> None:
        """Closes the call of this id, or all linked cases of the case of this id, with an audit row.

        Raises BadResolution, UnknownCall, UnderWay or AlreadyResolved, with nothing written. Raises
        StoreError.
        """
        _validate(resolution)
        written: list[Link] = []

        def work(conn: Connection) -> None:
            event = self._closed(conn, call_id, resolution, at)
            written[:] = self.audit.append_in(conn, event)

        # Of two operators, the second one sees what the first one wrote.
        turns = [("pending", folded_id(call_id))]
        await self.database.write(work, turns=turns, found=lambda conn: has_link(conn, written[-1]))

    def _closed(self, conn: Connection, call_id: str, resolution: Resolution, at: datetime) -> AuditEvent:
        note = jsons.dump({"made": resolution.made is not None, "actor": resolution.actor, "at": rfc3339(at)})
        values: dict[str, Any] = {"resolution": note.decode()}
        made = None if resolution.made is None else folded_id(resolution.made)
        if entries := _open_rows(conn, journal, journal.c.id == call_id, OPEN_CALL):
            [entry] = entries
            if made and entry.case_id not in (None, made):
                said = "the call made another case, and the list of pending calls has its id"
                raise BadResolution("other-case", said)
            values |= {"case_id": made} if made else {}
            conn.execute(update(journal).where(journal.c.id == call_id, *OPEN_CALL).values(**values))
            return self._event(call_id, entry.kind, resolution, at)
        case_id = folded_id(call_id)
        if _open_rows(conn, links, links.c.case_id == case_id, OPEN_LINK):
            if resolution.made is not None:
                values |= {"linked_case_id": made, "linked_spelling": own_spelling(resolution.made)}
            conn.execute(update(links).where(links.c.case_id == case_id, *OPEN_LINK).values(**values))
            return self._event(case_id, FLOW, resolution, at)
        raise _why_not(conn, call_id)

    def _event(self, call_id: str, kind: str, resolution: Resolution, at: datetime) -> AuditEvent:
        """Returns the audit's row; it outlives the cases, so it has their hashes only."""
        detail: dict[str, Json] = {
            "kind": kind,
            "made": resolution.made is not None,
            "case": self.sealer.case(resolution.made) if resolution.made else None,
            "reason": resolution.reason,
            "via": resolution.via,
        }
        subject = self.sealer.case(call_id)
        return AuditEvent(at, resolution.actor, _ACTION, subject, jsons.dump(detail).decode())


def _validate(resolution: Resolution) -> None:
    reason = resolution.reason
    if not (reason.isprintable() and reason.strip() and len(reason) <= _LONGEST):
        raise BadResolution("reason", f"the reason needs 1 to {_LONGEST} printable characters, on one line")
    if resolution.made and resolution.made.casefold() in reason.casefold():
        raise BadResolution("names-case", "the audit keeps the reason for good: don't name the case")
    if resolution.made is not None and not LEGACY_ID.fullmatch(resolution.made):
        raise BadResolution("case-id", "a case id has 1 to 64 letters, digits, - and _")


def _open_rows(
    conn: Connection, table: Table, same: ColumnElement[bool], is_open: tuple[ColumnElement[bool], ...]
) -> list[Row[Any]]:
    """Returns the open rows, locked: a late outcome comes before them or after them."""
    return [*conn.execute(select(table).where(same, *is_open).with_for_update())]


def _why_not(conn: Connection, call_id: str) -> Exception:
    """Returns the error for an id that no open call has."""
    of_call = select(journal.c.state, journal.c.resolution).where(journal.c.id == call_id)
    of_case = select(links.c.state, links.c.resolution).where(links.c.case_id == folded_id(call_id))
    rows = [*conn.execute(of_call), *conn.execute(of_case)]
    closed = [jsons.load(row.resolution.encode()) for row in rows if row.resolution]
    if closed:
        note: Any = closed[-1]
        return AlreadyResolved(note["actor"], note["at"], made=note["made"])
    if any(row.state == "intent" for row in rows):
        return UnderWay("the call is still under way; look again in a minute")
    return UnknownCall("no call with an unknown outcome has this id")
