"""Joins an owner's older hashes, of other spellings of the mail address, into the one of today (N06)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Row, bindparam, func, select

from proxy.store.records.rekeying import rekey
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.changes import note_change
from proxy.store.sql.database import Database, Work
from proxy.store.sql.memory import ALL
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.rows import make
from proxy.store.sql.tables import cases, owner_aliases, sessions

_NOW: Final = PointRead(select(owner_aliases.c.owner).where(owner_aliases.c.alias == bindparam("alias")))
_NOTED: Final = select(owner_aliases.c.alias).where(
    owner_aliases.c.alias.in_(bindparam("aliases", expanding=True))
)
_WHO: Final = SealedColumn(sessions.c.who)
_CONTENT: Final = SealedColumn(cases.c.content)

# Hashes that have moved, and a sealed value under each hash that has sessions or cases.
_Hashed: TypeAlias = tuple[set[str], Sequence[Row[Any]], Sequence[Row[Any]]]


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners. Releases before N06's folding hashed a user as spelt: such rows move to today's hash."""

    database: Database
    sealer: Sealer

    async def gather(self, owner: str, older: Collection[str]) -> None:
        """Puts all rows of the older hashes under the owner's, in one write, and notes that they moved."""
        left = partial(_not_noted, hashes=sorted({*older} - {owner}))
        if await self.database.lookup(left):  # hardly ever so: a lookup does not wait for the writer
            await self.database.write(self.gathering(owner, older))

    def gathering(self, owner: str, older: Collection[str]) -> Work[None]:
        """Returns the work of `gather`, for a write that does more."""
        left = partial(_not_noted, hashes=sorted({*older} - {owner}))

        def work(conn: Connection) -> None:
            # The alias comes first: of two processes that move the same hash, only one makes it.
            moving = [
                each for each in left(conn) if make(conn, owner_aliases, {"alias": each, "owner": owner})
            ]
            for each in moving:
                rekey(conn, self.sealer, each, owner)
            if moving:
                note_change(conn, ALL)

        return work

    async def older_hashes(self, owner: str) -> tuple[str, ...]:
        """Returns every older hash of the owner: those whose rows moved, and those of sealed spellings."""
        noted = select(owner_aliases.c.alias).filter_by(owner=owner)
        # Any session or case of a hash holds its user, sealed.
        session = select(func.min(sessions.c.token_hash)).group_by(sessions.c.owner)
        case = select(func.min(cases.c.id)).group_by(cases.c.owner)
        of_sessions = select(sessions).where(sessions.c.token_hash.in_(session))
        of_cases = select(cases).where(cases.c.id.in_(case))

        def work(conn: Connection) -> _Hashed:
            moved = set(conn.execute(noted).scalars())
            return moved, conn.execute(of_sessions).all(), conn.execute(of_cases).all()

        moved, by_session, by_case = await self.database.read(work)
        rows = [(row.owner, *self._of_session(row)) for row in by_session]
        rows += [(row.owner, *self._of_case(row)) for row in by_case]
        spelt = {each for each, user, organization in rows if self._explains(each, owner, user, organization)}
        return tuple(sorted((moved | spelt) - {owner}))

    def _explains(self, spelt: str, owner: str, user: str, organization: str) -> bool:
        """Returns whether the owner's rows are under this hash because of this user's spelling."""
        same = self.sealer.owner(user, organization) == owner
        return same and self.sealer.spelt_owner(user, organization) == spelt

    def _of_session(self, row: Row[Any]) -> tuple[str, str]:
        user, _, organization = self.sealer.open_json(row.who, _WHO.of(row))
        return user, organization

    def _of_case(self, row: Row[Any]) -> tuple[str, str]:
        content = self.sealer.open_json(row.content, _CONTENT.of(row))
        return content["user"], content["organization"]


def current(conn: Connection, owner: str) -> str:
    """Returns the hash that the owner's rows are under now: a call may have begun before they moved."""
    row = _NOW.first(conn, alias=owner)
    return owner if row is None else row.owner


def _not_noted(conn: Connection, hashes: Sequence[str]) -> list[str]:
    noted = set(conn.execute(_NOTED, {"aliases": hashes}).scalars())
    return [each for each in hashes if each not in noted]
