"""Moves all rows of one owner's hash to another hash, in one write; rows that meet become one (N06)."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, select, update

from proxy.store.errors import StoreError
from proxy.store.records.sessions import lock_sessions
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.tables import (
    cases,
    clients,
    conversations,
    homes,
    journal,
    legacy_sessions,
    pairs,
    recordings,
    sessions,
    transcriptions,
)

_TOKEN: Final = SealedColumn(legacy_sessions.c.token)
# Of two rows that meet the older stays. Here are the rest of their key, beside the owner, and their time.
_MEETING: Final[Sequence[tuple[Table, Sequence[str], str | None]]] = (
    (homes, ("legacy_id",), "at"),
    (transcriptions, ("legacy_id", "digest"), "created_at"),
    (conversations, ("case_id",), None),  # a case's conversation has one owner: they never meet
)


def rekey(conn: Connection, sealer: Sealer, old: str, new: str) -> None:
    """Moves all rows of the hash `old` to the hash `new`. The audit stays: its rows were written of `old`."""
    # A write for one of these sessions ends before, or finds the session under the new hash.
    lock_sessions(conn, (old,))
    for table in (sessions, cases, pairs):
        _move(conn, table, old, new)
    conn.execute(update(clients).where(clients.c.user == old).values(user=new))
    for table, names, at in _MEETING:
        _drop_younger(conn, table, names, at, old, new)
        _move(conn, table, old, new)
    _free_younger_keys(conn, old, new)
    _move(conn, journal, old, new)
    _renumber(conn, old, new)
    _move(conn, recordings, old, new)
    _drop_older_token(conn, old, new)
    _move_token(conn, sealer, old, new)


def _move(conn: Connection, table: Table, old: str, new: str) -> None:
    conn.execute(update(table).where(table.c.owner == old).values(owner=new))


def _drop_younger(
    conn: Connection, table: Table, names: Sequence[str], at: str | None, old: str, new: str
) -> None:
    other = table.alias("other")
    same = [table.c[name] == other.c[name] for name in names]
    if at is not None:
        older = exists().where(other.c.owner == old, other.c[at] < table.c[at], *same)
        conn.execute(delete(table).where(table.c.owner == new, older))
    there = exists().where(other.c.owner == new, *same)
    conn.execute(delete(table).where(table.c.owner == old, there))


def _free_younger_keys(conn: Connection, old: str, new: str) -> None:
    """Frees the younger of two equal Idempotency-Keys: a repeat gets the first answer (N17).

    Both rows stay.
    """
    other = journal.alias("other")
    same = journal.c.idempotency == other.c.idempotency

    def free(mine: str, theirs: str, *more: ColumnElement[bool]) -> None:
        earlier = exists().where(other.c.owner == theirs, same, *more)
        conn.execute(update(journal).where(journal.c.owner == mine, earlier).values(idempotency=None))

    free(new, old, other.c.created_at < journal.c.created_at)
    free(old, new)


def _renumber(conn: Connection, old: str, new: str) -> None:
    """Numbers the recordings of each id under both hashes in the order in which they began."""
    table = recordings.c
    others = select(table.legacy_id).where(table.owner == new)
    meeting = select(table.legacy_id).where(table.owner == old, table.legacy_id.in_(others)).distinct()
    for legacy_id in conn.execute(meeting).scalars().all():
        both = table.legacy_id == legacy_id, table.owner.in_((old, new))
        ordered = select(table.id).where(*both).order_by(table.created_at, table.number, table.id)
        ids = conn.execute(ordered).scalars().all()
        # Twice: a number that another row still has can't be given.
        for start in (-len(ids), 0):
            for number, each in enumerate(ids, start):
                one = update(recordings).where(table.id == each)
                conn.execute(one.values(owner=new, number=number))


def _drop_older_token(conn: Connection, old: str, new: str) -> None:
    query = select(legacy_sessions.c.owner).where(legacy_sessions.c.owner.in_((old, new)))
    newest_first = query.order_by(legacy_sessions.c.at.desc(), legacy_sessions.c.owner == old)
    for owner in conn.execute(newest_first).scalars().all()[1:]:
        conn.execute(delete(legacy_sessions).where(legacy_sessions.c.owner == owner))


def _move_token(conn: Connection, sealer: Sealer, old: str, new: str) -> None:
    """Moves the token. It is bound to its owner's hash, so it is sealed again."""
    table = legacy_sessions
    sealed = conn.execute(select(table.c.token).where(table.c.owner == old)).scalar_one_or_none()
    if sealed is None:
        return
    with suppress(StoreError):  # its key is gone: it opens under neither hash, and stays under the old one
        token = sealer.moved(sealed, _TOKEN.at(old), _TOKEN.at(new))
        conn.execute(update(table).where(table.c.owner == old).values(owner=new, token=token))
