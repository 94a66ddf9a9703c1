"""Tells every process which of its cached values were changed (see `Memory`)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text

from proxy.store.sql.database import NOTED, Database
from proxy.store.sql.memory import ALL, Memory
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.rows import has_one_writer
from proxy.store.sql.tables import changes, overrides

_MOST: Final = 1000  # in one read; a process that has missed more forgets everything

_NEWEST: Final = PointRead(select(func.coalesce(func.max(changes.c.revision), 0).label("revision")))
# One statement: each process asks all the time.
_BOTH_NEWEST: Final = PointRead(
    select(
        func.coalesce(select(func.max(changes.c.revision)).scalar_subquery(), 0).label("changes"),
        func.coalesce(select(func.max(overrides.c.revision)).scalar_subquery(), 0).label("overrides"),
    )
)
_SINCE: Final = (
    select(changes.c.revision, changes.c.subject)
    .where(changes.c.revision > bindparam("after"))
    .order_by(changes.c.revision)
    .limit(_MOST)
)
_INSERT: Final = PointWrite(insert(changes))
# Revisions are given in the order of the commits. Else a lower one could commit after a process has followed
# a higher one, and that process would never see it.
_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('changes', 0))")
# No sequence: a dry run would use its numbers up. A statement of its own sees what the turn waited for.
_INSERT_NEXT: Final = text(
    "INSERT INTO changes (revision, subject) SELECT coalesce(max(revision), 0) + 1, :subject FROM changes "
    "RETURNING revision"
)


def note_change(conn: Connection, subject: str) -> int:
    """Notes a change that ends cached values, in the transaction that makes it. Returns its revision.

    This process forgets the values once the write is done (see `Database.write`), before its caller goes on.
    Call it after all other statements, but for those that add to the audit: until the transaction ends, no
    other one can note a change.
    """
    conn.info.setdefault(NOTED, []).append(subject)
    if not has_one_writer(conn):
        conn.execute(_TURN)
        revision: int = conn.execute(_INSERT_NEXT, {"subject": subject}).scalar_one()
        return revision
    _INSERT.run(conn, {"subject": subject})
    return _newest(conn)


class Followed(NamedTuple):
    """The subjects of the changes since the last look, and the newest revision of the overrides."""

    subjects: frozenset[str]
    overrides: int


@dataclass(slots=True)
class _Seen:
    revision: int | None = None  # None before the first look


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes, one row each; no number is ever used twice."""

    database: Database
    memory: Memory
    monotonic: Callable[[], float]
    _seen: _Seen = field(default_factory=_Seen, repr=False)

    @property
    def revision(self) -> int:
        """Returns the newest change that this process has seen; its cached values are not older."""
        return self._seen.revision or 0

    async def follow(self) -> Followed:
        """Forgets what was changed since the last call, here or elsewhere.

        Raises StoreError when the store can't be read; after one second no cached value is used any more.
        """
        at = self.monotonic()
        found = await self.database.find(_BOTH_NEWEST)
        subjects = await self._changed(found.changes)
        self.memory.asked(at)
        return Followed(subjects, found.overrides)

    async def _changed(self, newest: int) -> frozenset[str]:
        """Forgets what was changed up to the newest change, and returns the subjects."""
        if newest == self._seen.revision and self.memory.fresh():
            subjects = frozenset[str]()
        elif self._seen.revision is None or not self.memory.fresh():
            # The cached values were not followed for a while: all of them go.
            subjects = frozenset() if newest == self._seen.revision else frozenset({ALL})
            self._forget([ALL], newest)
        else:
            after = self._seen.revision
            found = await self.database.lookup(lambda conn: _since(conn, after))
            missed = len(found) == _MOST
            subjects = frozenset({ALL}) if missed else frozenset(subject for _, subject in found)
            if found:
                self._forget(subjects, found[-1][0])
        return subjects

    async def note(self, subject: str = ALL) -> int:
        """Notes a change in its own write, and returns its revision, so that the caller can wait for it."""
        return await self.database.write(lambda conn: note_change(conn, subject))

    def _forget(self, subjects: Iterable[str], revision: int) -> None:
        self.memory.forget(subjects)
        self._seen.revision = revision


def delete_changes(conn: Connection, keep: int = 0) -> None:
    """Removes all changes but the newest `keep` and one more, from which the numbers go on.

    A process that has not seen a removed change forgets everything: it sees that it missed some, or it has
    not looked for a second.
    """
    conn.execute(delete(changes).where(changes.c.revision < _newest(conn) - keep))


def _newest(conn: Connection) -> int:
    newest: int = _NEWEST.first(conn).revision
    return newest


def _since(conn: Connection, after: int) -> Sequence[tuple[int, str]]:
    return [(row.revision, row.subject) for row in conn.execute(_SINCE, {"after": after})]
