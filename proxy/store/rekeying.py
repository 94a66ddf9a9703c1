"""Moves all rows of one owner's hash to another, within a write; rows that meet there become one (N06)."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Table, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.store.tables import (
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

# Of two rows that meet the older stays: what they are the same by, beside the owner, and when they were made.
_MEETING: Final[Sequence[tuple[Table, Sequence[str], str | None]]] = (
    (homes, ("legacy_id",), "at"),
    (transcriptions, ("legacy_id", "digest"), "created_at"),
    (conversations, ("case_id",), None),  # one of a case has one owner: they never meet
)


async def rekey(conn: AsyncConnection, old: str, new: str) -> None:
    """The audit stays as it is: what it says was said of that hash."""
    for table in (sessions, cases, pairs):
        await _move(conn, table, old, new)
    await conn.execute(update(clients).where(clients.c.user == old).values(user=new))
    for table, names, at in _MEETING:
        await _drop_younger(conn, table, names, at, old, new)
        await _move(conn, table, old, new)
    await _free_younger_keys(conn, old, new)
    await _move(conn, journal, old, new)
    await _renumber(conn, old, new)
    await _move(conn, recordings, old, new)
    await _drop_older_token(conn, old, new)
    await _move(conn, legacy_sessions, old, new)


async def _move(conn: AsyncConnection, table: Table, old: str, new: str) -> None:
    await conn.execute(update(table).where(table.c.owner == old).values(owner=new))


async def _drop_younger(
    conn: AsyncConnection, table: Table, names: Sequence[str], at: str | None, old: str, new: str
) -> None:
    other = table.alias("other")
    same = [table.c[name] == other.c[name] for name in names]
    if at is not None:
        older = exists().where(other.c.owner == old, other.c[at] < table.c[at], *same)
        await conn.execute(delete(table).where(table.c.owner == new, older))
    there = exists().where(other.c.owner == new, *same)
    await conn.execute(delete(table).where(table.c.owner == old, there))


async def _free_younger_keys(conn: AsyncConnection, old: str, new: str) -> None:
    """Of two calls with one Idempotency-Key the first one's answer is given again (N17); both are kept."""
    other = journal.alias("other")
    same = journal.c.idempotency == other.c.idempotency

    async def free(mine: str, theirs: str, *more: ColumnElement[bool]) -> None:
        earlier = exists().where(other.c.owner == theirs, same, *more)
        await conn.execute(update(journal).where(journal.c.owner == mine, earlier).values(idempotency=None))

    await free(new, old, other.c.created_at < journal.c.created_at)
    await free(old, new)


async def _renumber(conn: AsyncConnection, old: str, new: str) -> None:
    """Recordings of one id under both hashes, in the order in which they were opened."""
    table = recordings.c
    others = select(table.legacy_id).where(table.owner == new)
    meeting = select(table.legacy_id).where(table.owner == old, table.legacy_id.in_(others)).distinct()
    for legacy_id in (await conn.execute(meeting)).scalars().all():
        both = table.legacy_id == legacy_id, table.owner.in_((old, new))
        ordered = select(table.id).where(*both).order_by(table.created_at, table.number, table.id)
        ids = (await conn.execute(ordered)).scalars().all()
        # Twice: a number that is still another's can't be given.
        for start in (-len(ids), 0):
            for number, each in enumerate(ids, start):
                one = update(recordings).where(table.id == each)
                await conn.execute(one.values(owner=new, number=number))


async def _drop_older_token(conn: AsyncConnection, old: str, new: str) -> None:
    query = select(legacy_sessions.c.owner).where(legacy_sessions.c.owner.in_((old, new)))
    newest_first = query.order_by(legacy_sessions.c.at.desc(), legacy_sessions.c.owner == old)
    for owner in (await conn.execute(newest_first)).scalars().all()[1:]:
        await conn.execute(delete(legacy_sessions).where(legacy_sessions.c.owner == owner))
