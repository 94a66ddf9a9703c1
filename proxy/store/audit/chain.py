"""Chains the audit's rows: each row's keyed hash covers the row before it, and the end is noted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, func, select, type_coerce

from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.rows import insert_missing, upsert
from proxy.store.sql.tables import audit, meta

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD: Final = "audit_head"
_START: Final = ""
_UNWRITTEN: Final = b""
_BROKEN: Final = "broken"  # no row has this hash: rows that are added after it never verify

# Times as they are stored: after tampering the value may be no time.
_STORED: Final = (audit.c.id, type_coerce(audit.c.at, BigInteger).label("at"), audit.c.actor, audit.c.action)
_NOTE: Final = select(meta.c.value).where(meta.c.name == _HEAD)
_ROWS: Final = select(*_STORED, audit.c.subject, audit.c.detail, audit.c.hash).order_by(audit.c.id)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A row of the audit.

    `actor` is an operator, "proxy" for the process itself, or a user by their keyed hash. `subject` is a
    keyed hash or `*`, never a name. `detail` is short JSON that says nothing of a patient.
    """

    at: datetime
    actor: str
    action: str
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A row's id, and the hash over this row and all rows before it."""

    id: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """The result of a check of the chain.

    `rows` rows verify, and `end` is the hash of the newest of them. `first_bad` is the first row that was
    changed or is missing. Releases before the chain wrote rows without hashes: these are not `chained`, but
    the first hash after them covers them.
    """

    rows: int
    chained: int
    end: str
    first_bad: int | None = None
    reason: str = ""


def next_links(conn: Connection, sealer: Sealer, events: Sequence[AuditEvent]) -> list[Link]:
    """Returns the links of new rows. After tampering the chain goes on, and the damage stays visible.

    Until the transaction ends, no other one can add rows: a unit of work takes this lock last.
    """
    head = _opened(take_turn(conn), sealer)
    last = conn.execute(select(func.max(audit.c.id))).scalar_one() or 0
    if head is None:
        head = _begun(conn, sealer)
    links, first = [], max(last, head.id) + 1
    for number, event in enumerate(events, start=first):
        head = Link(number, _hash(sealer, head.hash, _columns(number, event)))
        links.append(head)
    return links


def take_turn(conn: Connection) -> bytes:
    """Locks the note of the chain's end for this transaction, and returns it; it is empty before any row."""
    locked = _NOTE.with_for_update()
    note: bytes | None = conn.execute(locked).scalar_one_or_none()
    if note is None:
        insert_missing(
            conn, meta, [{"name": _HEAD, "value": _UNWRITTEN}]
        )  # a row that is missing can't be locked
        note = conn.execute(locked).scalar_one()
    return note


def has_link(conn: Connection, link: Link) -> bool:
    """Returns whether this very row is there."""
    return conn.execute(select(audit.c.id).filter_by(id=link.id, hash=link.hash)).first() is not None


def note_end(conn: Connection, sealer: Sealer, link: Link) -> None:
    """Stores the newest row's link apart from the rows: by it, a check notices that the last are missing."""
    mac = sealer.digest(_HEAD, str(link.id), link.hash)
    value = f"{link.id} {link.hash} {mac}".encode()
    upsert(conn, meta, {"name": _HEAD}, {"value": value})


def verify(conn: Connection, sealer: Sealer) -> AuditVerdict:
    """Reads the chain from its beginning to its end, or to the first row that is not as it was written."""
    whole = AuditVerdict(0, 0, _START)
    last: int | None = None
    for row in conn.execute(_ROWS):
        expected = _hash(sealer, whole.end, row[:-1])
        if bad := _fault(row, expected, last if whole.chained else None):
            return _bad(whole, *bad)
        whole = AuditVerdict(whole.rows + 1, whole.chained + (row.hash is not None), expected)
        last = row.id
    bad = _fault_at_end(conn, sealer, whole, last or 0)
    return _bad(whole, *bad) if bad else whole


def _fault(row: Row[Any], expected: str, before: int | None) -> tuple[int, str] | None:
    """Returns the first bad row and the reason, None for a good row.

    `before` is the id of the chain's row before this one; None where this row would begin the chain.
    """
    if before is None:
        if row.hash in {None, expected}:
            return None
        return row.id, _one_before(row.id)
    if row.id != before + 1:
        return before + 1, f"rows {before + 1} to {row.id - 1} are missing"
    if row.hash != expected:
        return row.id, f"row {row.id} is not as it was written"
    return None


def _fault_at_end(conn: Connection, sealer: Sealer, whole: AuditVerdict, last: int) -> tuple[int, str] | None:
    head = _head(conn, sealer)
    if head is None:
        return (last + 1, "where the chain ends is noted nowhere") if whole.chained else None
    if head.hash == _BROKEN:
        return last + 1, "the note of where the chain ends was changed"
    if head.id > last:
        return last + 1, f"rows {last + 1} to {head.id} are missing"
    if head.id < last:
        return head.id + 1, f"row {head.id + 1} is not as it was written"
    return None if head.hash == whole.end else (last, _one_before(last))


def _one_before(number: int) -> str:
    return f"row {number}, or one before it, is not as it was written"


def _bad(whole: AuditVerdict, first_bad: int, reason: str) -> AuditVerdict:
    return AuditVerdict(whole.rows, whole.chained, whole.end, first_bad, reason)


def _head(conn: Connection, sealer: Sealer) -> Link | None:
    return _opened(conn.execute(_NOTE).scalar_one_or_none(), sealer)


def _opened(note: bytes | None, sealer: Sealer) -> Link | None:
    """Returns the newest link as it was noted, None before the first. A forged note gives a broken link."""
    if not note:
        return None
    number, _, rest = note.decode("utf-8", "replace").partition(" ")
    digest, _, mac = rest.partition(" ")
    if mac != sealer.digest(_HEAD, number, digest):
        return Link(0, _BROKEN)
    return Link(int(number), digest)


def _begun(conn: Connection, sealer: Sealer) -> Link:
    """Returns the link before the first one: the hash over all rows of releases that had no chain."""
    digest = _START
    for row in conn.execute(_ROWS):
        if row.hash is not None:  # a chain was there, so its note was removed
            return Link(0, _BROKEN)
        digest = _hash(sealer, digest, row[:-1])
    return Link(0, digest)


def _columns(number: int, event: AuditEvent) -> tuple[Any, ...]:
    at = (event.at - _EPOCH) // timedelta(microseconds=1)
    return number, at, event.actor, event.action, event.subject, event.detail


def _hash(sealer: Sealer, before: str, columns: tuple[Any, ...]) -> str:
    return sealer.digest("audit", before, *map(str, columns))
