"""Stores the journal of calls that must not be made twice (CONTRACT N17, N19; DESIGN "State")."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from proxy.store.errors import StoreError
from proxy.store.presence import Presence
from proxy.store.records.cases import case_rows_of, insert_case
from proxy.store.records.in_hand import InHand
from proxy.store.records.sessions import check_standing
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, Work, runs_again
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.rows import Lives, has_row, left_over, nobody
from proxy.store.sql.tables import journal
from proxy.values import Case, Origin, folded_id

_ANSWER: Final = SealedColumn(journal.c.answer)
_INTERRUPTED: Final = "interrupted"
_OPEN: Final = ("intent", "ambiguous")  # the states that a late answer may still resolve
# The calls that operators have to look at.
OPEN_CALL: Final = (journal.c.state == "ambiguous", journal.c.resolution.is_(None))

_BEGIN: Final = PointWrite(insert(journal))
_EARLIER_ENTRY: Final = journal.alias()
# The entry that it relies on is locked: an erase that removes it either comes before, or finds this one, too.
_BEGIN_STANDING: Final = PointWrite(
    insert(journal).from_select(
        [column.name for column in journal.columns],
        select(*(bindparam(column.name, type_=column.type) for column in journal.columns)).where(
            select(_EARLIER_ENTRY.c.id)
            .where(_EARLIER_ENTRY.c.id == bindparam("standing"))
            .with_for_update(read=True, key_share=True)
            .exists()
        ),
    )
)
# It is locked: a transaction that only reads waits for no standby, and a failover could take away the answer
# that a client gets again.
_EARLIER: Final = PointRead(
    select(journal)
    .where(journal.c.owner == bindparam("of"), journal.c.idempotency == bindparam("key"))
    .with_for_update()
)
_OWN_OPEN: Final = select(journal.c.id).where(
    journal.c.state == "intent", journal.c.process == bindparam("me")
)
_RESOLVE: Final = PointWrite(
    update(journal).where(
        journal.c.id == bindparam("intent"), or_(*(journal.c.state == each for each in _OPEN))
    )
)
# A failure that comes late opens nothing again which an operator has closed: a client could send it again.
_FAIL: Final = PointWrite(
    update(journal).where(
        journal.c.id == bindparam("intent"),
        or_(*(journal.c.state == each for each in _OPEN)),
        journal.c.resolution.is_(None),
    )
)
_CLOSED: Final = PointRead(select(journal.c.resolution).where(journal.c.id == bindparam("intent")))


class NoOpenIntent(StoreError):
    """An error: the outcome of a call has no open entry to be written to."""


class NotStanding(Exception):
    """An error: the entry that a call relied on was erased."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One call: `intent` before it is sent, then `recorded`, `failed`, or `ambiguous` (nobody can know).

    `idempotency` is a keyed hash of the client's Idempotency-Key; `body_digest` shows whether the key came
    with the same body; `answer` is the body of the 200 that the client got. An ambiguous entry has a
    `case_id` where its case was certainly made, but no client got its id (N19). `organization` is a keyed
    hash; `resolution` says who has closed an ambiguous entry (see `Resolutions`).
    """

    id: str
    owner: str
    kind: str
    idempotency: str | None
    body_digest: str
    created_at: datetime
    state: str = "intent"
    cause: str | None = None
    case_id: str | None = None
    answer: bytes | None = field(default=None, repr=False)
    request_id: str | None = None
    organization: str | None = None
    resolution: str | None = None

    @property
    def origin(self) -> Origin | None:
        """Returns the request that the call was made for; None for an entry of an earlier release."""
        return Origin(self.request_id, self.organization or "") if self.request_id else None


@dataclass(frozen=True, slots=True)
class Journal:
    """The intents and their results; `presence` is that of the process that writes them.

    `in_hand` has the ids of the intents on which this process works: from before `begin` to the end.
    """

    database: Database
    sealer: Sealer
    presence: Presence
    in_hand: InHand = field(default_factory=InHand)

    async def begin(
        self, entry: JournalEntry, *first: Work[object], standing: str | None = None, ref: str | None = None
    ) -> JournalEntry | None:
        """Writes the intent and returns None, or returns the entry that already has its idempotency key.

        In the latter case no intent is written: the caller sends only after None. The works of `first` run in
        the same write, before it. Raises NotStanding, with nothing written, when the entry `standing` was
        erased. Raises SessionGone when the session `ref` has gone.
        """
        columns = self._columns(entry)

        def work(conn: Connection) -> Any:
            check_standing(conn, ref)
            for each in first:
                each(conn)
            if earlier := _earlier(conn, entry):
                return earlier
            if standing is None:
                _BEGIN.run(conn, columns)
            elif not _BEGIN_STANDING.run(conn, {**columns, "standing": standing}):
                raise NotStanding
            return None

        turns = [] if entry.idempotency is None else [("once", entry.owner, entry.idempotency)]
        found = partial(has_row, table=journal, values={"id": entry.id})
        row = await self.database.write(work, turns=turns, found=found, single=not first and ref is None)
        return None if row is None else self._entry(row)

    async def record(self, intent_id: str, case: Case, answer: bytes, *also: Work[object]) -> None:
        """Stores the case, the answer and the writes of the works `also` in one transaction.

        Raises StoreError when the intent is not open.
        """
        rows = await case_rows_of(self.sealer, case)
        values = {
            "state": "recorded",
            "case_id": folded_id(case.id),
            "answer": self.sealer.seal(answer, _ANSWER.at(intent_id)),
            "cause": None,
        }

        def work(conn: Connection) -> None:
            _resolve(conn, intent_id, values)
            insert_case(conn, rows)
            for each in also:
                each(conn)

        done = {"id": intent_id, "state": values["state"], "case_id": values["case_id"]}
        await self.database.write(work, found=partial(has_row, table=journal, values=done))

    async def fail(self, intent_id: str, cause: str, *, ambiguous: bool, case_id: str | None = None) -> None:
        """Notes that a call gave no case; `cause` is a short code.

        Its idempotency key is free again, unless the call is ambiguous: then it must not be made again.
        `case_id` is a case that was made all the same; only the journal has it (CONTRACT N19), and the entry
        is open again if an operator has closed it. Any other failure leaves a closed entry as it is. Raises
        StoreError when the intent is not open.
        """
        values: dict[str, Any] = {"state": "ambiguous" if ambiguous else "failed", "cause": cause}
        if case_id is not None:
            values |= {"case_id": folded_id(case_id), "resolution": None}
        if not ambiguous:
            values["idempotency"] = None
        statement = _FAIL if case_id is None else _RESOLVE

        def work(conn: Connection) -> None:
            _resolve(conn, intent_id, values, statement)

        found = partial(has_row, table=journal, values={"id": intent_id, **values})
        try:
            await self.database.write(work, found=found, single=True)
        except NoOpenIntent:
            closed = await self.database.find(_CLOSED, intent=intent_id)
            if closed is None or closed.resolution is None:
                raise

    async def resolve_abandoned(self, lives: Lives = nobody) -> int:
        """Makes the intents of dead processes ambiguous; returns how many."""

        def work(conn: Connection) -> int:
            left = update(journal).where(left_over(conn, journal, lives))
            return conn.execute(left.values(state="ambiguous", cause=_INTERRUPTED)).rowcount

        return await self.database.write(work)

    async def resolve_own(self) -> int:
        """Makes this process's intents ambiguous that it does not work on any more; returns how many.

        Their outcomes could not be written. The entries are read first, and compared afterwards: the other
        way round, an intent that has just begun would look left over.
        """

        def read(conn: Connection) -> list[str]:
            return [*conn.execute(_OWN_OPEN, {"me": self.presence.name}).scalars()]

        left = [each for each in await self.database.lookup(read) if each not in self.in_hand]
        if not left:
            return 0

        def work(conn: Connection) -> int:
            still = update(journal).where(journal.c.id.in_(left), journal.c.state == "intent")
            return conn.execute(still.values(state="ambiguous", cause=_INTERRUPTED)).rowcount

        return await self.database.write(work, found=runs_again)

    async def pending(self) -> list[JournalEntry]:
        """Returns the ambiguous calls that are not closed, oldest first; `Store.pending` has all."""
        query = select(journal).where(*OPEN_CALL).order_by(journal.c.created_at)

        def work(conn: Connection) -> list[JournalEntry]:
            return [self._entry(row) for row in conn.execute(query)]

        return await self.database.read(work)

    async def forget_before(self, when: datetime) -> None:
        """Removes entries begun before `when`, with their answers and keys; open ones stay."""

        def work(conn: Connection) -> None:
            done = journal.c.state.not_in(_OPEN)
            conn.execute(delete(journal).where(done, journal.c.created_at < when))

        await self.database.write(work)

    def _columns(self, entry: JournalEntry) -> dict[str, Any]:
        columns = {name: getattr(entry, name) for name in JournalEntry.__slots__}
        answer = None if entry.answer is None else self.sealer.seal(entry.answer, _ANSWER.at(entry.id))
        return {**columns, "answer": answer, "process": self.presence.name}

    def _entry(self, row: Row[Any]) -> JournalEntry:
        answer = None if row.answer is None else self.sealer.open(row.answer, _ANSWER.at(row.id))
        columns = {name: getattr(row, name) for name in JournalEntry.__slots__}
        return JournalEntry(**{**columns, "answer": answer})


def _earlier(conn: Connection, entry: JournalEntry) -> Any:
    if entry.idempotency is None:
        return None
    return _EARLIER.first(conn, of=entry.owner, key=entry.idempotency)


def delete_closed_before(conn: Connection, before: datetime) -> None:
    """Removes the entries begun before `before` that an operator has closed."""
    closed = journal.c.resolution.is_not(None), journal.c.created_at < before
    conn.execute(delete(journal).where(*closed, journal.c.state == "ambiguous"))


def _resolve(
    conn: Connection, intent_id: str, values: dict[str, Any], statement: PointWrite = _RESOLVE
) -> None:
    if not statement.run(conn, {"intent": intent_id, **values}):
        raise NoOpenIntent("the journal has no open intent of this id")
