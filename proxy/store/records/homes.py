"""Stores the home of each case, and its id on the other side (DESIGN "A case's home")."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from proxy.store.records.owners import current
from proxy.store.records.sessions import check_standing, owner_of, session_rows, token_hash, write_session
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.changes import note_change
from proxy.store.sql.database import Database, Turn, runs_again
from proxy.store.sql.memory import Memory, subject_of
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.rows import insert_missing, own_spelling, upsert
from proxy.store.sql.tables import cases, homes, legacy_sessions, pairs, recordings
from proxy.values import Session, Side, folded_id

_TOKEN: Final = SealedColumn(legacy_sessions.c.token)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

_OWNER: Final = bindparam("owner", type_=String)
_LEGACY_SESSION: Final = PointRead(select(legacy_sessions).where(legacy_sessions.c.owner == _OWNER))
_CANDIDATE_OF: Final = select(pairs.c.candidate_id).where(pairs.c.control_id == bindparam("control_id"))
_CANDIDATES: Final = select(pairs.c.candidate_id).where(pairs.c.owner == _OWNER)
_SHADOWS: Final = exists().where(pairs.c.candidate_id == cases.c.id)
_CASE_OF: Final = select(cases.c.id).where(cases.c.owner == _OWNER, ~_SHADOWS).limit(1)


@dataclass(frozen=True, slots=True)
class _LegacyToken:
    token: str = field(repr=False)
    expires_at: datetime | None

    def lives(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now


@dataclass(frozen=True, slots=True)
class Home:
    """The side on which an id lives, and the id as that side spells it (CONTRACT G03)."""

    side: Side
    spelling: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Homes:
    """The homes. A case lives where it was made; an id with only audio, where its first chunk went."""

    database: Database
    sealer: Sealer
    memory: Memory

    async def of(self, owner: str | None, legacy_id: str) -> Side | None:
        """Returns the side that calls on this id go to; None when the owner has no such id."""
        home = await self.find(owner, legacy_id)
        return None if home is None else home.side

    async def find(self, owner: str | None, legacy_id: str) -> Home | None:
        """Returns the home of this id; None when the owner has no such id.

        A case of the new side is found for every caller: its flow checks the owner. `owner` None is a caller
        whose token has no session.
        """

        key, mark = _memory_key(owner, legacy_id), self.memory.mark()
        cached: Home | None = self.memory.get("home", key)
        if cached is not None:
            return cached
        home = _home_of(await self.database.find(_SIDES, owner=owner, key=folded_id(legacy_id)))
        if home is not None:
            self.memory.keep("home", key, home, mark)
        return home

    async def claim(
        self, owner: str, legacy_id: str, side: Side, at: datetime, ref: str | None = None
    ) -> Side:
        """Gives the id to this side unless it has a home already; returns the home that it has then.

        Raises SessionGone when the session `ref` has gone.
        """
        row = {"side": side, "at": at, "spelling": own_spelling(legacy_id)}

        def work(conn: Connection) -> Side:
            check_standing(conn, ref)
            now = current(conn, owner)
            home = _home(conn, now, legacy_id)
            if home is None:
                insert_missing(conn, homes, [{**_key(now, legacy_id), **row}])
            return home.side if home else side

        return await self.database.write(work, turns=[_turn(legacy_id)], found=runs_again)

    async def learn_legacy_case(self, token: str, session: Session, legacy_id: str, at: datetime) -> bool:
        """Stores, in one write, the token and the case of a newCase that the legacy server answered.

        The token becomes a session too, so that the new side can serve it. The access token of `session` is
        ignored: a session that was there keeps its own, a new one gets one at first need. Returns False, with
        nothing written, when the token is already another owner's: a session never changes its owner.
        """
        learned = replace(session, access_token="", access_expires_at=_LONG_AGO, side="legacy")
        rows = session_rows(self.sealer, token, learned)
        sealed = self.sealer.seal_text(token, _TOKEN.at(session.owner))
        newest = {"token": sealed, "expires_at": session.expires_at, "at": at}

        session_subject = subject_of("session", token_hash(token))
        home_subject = subject_of("home", _memory_key(session.owner, legacy_id))

        def work(conn: Connection) -> bool:
            owner = owner_of(conn, token)
            if owner not in (None, session.owner):
                return False
            write_session(conn, token, rows, keep_access=owner is not None)
            upsert(conn, legacy_sessions, {"owner": session.owner}, newest)
            before = _home(conn, session.owner, legacy_id)
            home = {"side": learned.side, "at": at, "spelling": own_spelling(legacy_id)}
            upsert(conn, homes, _key(session.owner, legacy_id), home)
            if owner is not None:
                note_change(conn, session_subject)
            if before is not None and before.side != learned.side:
                note_change(conn, home_subject)
            return True

        # No session changes its owner meanwhile, and no home its side.
        turns = [("token", token_hash(token)), _turn(legacy_id)]
        written = await self.database.write(work, turns=turns, found=runs_again)
        # Other processes may go on with the owner's older legacy token: the legacy server gave it as well.
        self.memory.forget([subject_of("legacy_token", session.owner)])
        return written

    async def legacy_token(self, owner: str, now: datetime) -> str | None:
        """Returns the newest token that the legacy server gave this owner; None when it has expired."""
        mark = self.memory.mark()
        cached: _LegacyToken | None = self.memory.get("legacy_token", owner)
        if cached is not None and cached.lives(now):
            return cached.token
        row = await self._legacy_session(owner)
        if row is None:
            return None
        found = _LegacyToken(self.sealer.open_text(row.token, _TOKEN.at(row.owner)), row.expires_at)
        self.memory.keep("legacy_token", owner, found, mark)
        return found.token if found.lives(now) else None

    async def forget_legacy_token(self, owner: str, token: str) -> None:
        """Removes a token that the legacy server refused; one that replaced it meanwhile stays."""
        row = await self._legacy_session(owner)
        if row is None or self.sealer.open_text(row.token, _TOKEN.at(row.owner)) != token:
            return
        same = and_(legacy_sessions.c.owner == owner, legacy_sessions.c.token == row.token)
        subject = subject_of("legacy_token", owner)

        def work(conn: Connection) -> None:
            conn.execute(delete(legacy_sessions).where(same))
            note_change(conn, subject)

        await self.database.write(work, found=runs_again)

    async def _legacy_session(self, owner: str) -> Any:
        return await self.database.find(_LEGACY_SESSION, owner=owner)

    async def pair(self, control_id: str, candidate_id: str, owner: str, at: datetime) -> None:
        """Notes that both ids are one case: the client has the control's, a shadow's write made the other."""
        ids = {"control_id": folded_id(control_id), "candidate_id": folded_id(candidate_id)}

        def work(conn: Connection) -> None:
            insert_missing(conn, pairs, [{**ids, "owner": current(conn, owner), "at": at}])

        await self.database.write(work, found=runs_again)

    async def candidate_of(self, control_id: str) -> str | None:
        """Returns the id of the same case on the other side, folded."""
        found = await self._ids(_CANDIDATE_OF, control_id=folded_id(control_id))
        return found[0] if found else None

    async def candidates(self, owner: str) -> set[str]:
        """Returns the folded ids of the cases that only a shadow made: the owner never got these ids."""
        return set(await self._ids(_CANDIDATES, owner=owner))

    async def has_new_cases(self, owner: str) -> bool:
        """Returns whether the owner has a case that the new side made for a client, not only for a shadow."""
        return bool(await self._ids(_CASE_OF, owner=owner))

    async def _ids(self, query: Select[str], **values: str) -> Sequence[str]:
        def work(conn: Connection) -> Sequence[str]:
            return conn.execute(query, values).scalars().all()

        return await self.database.lookup(work)


def delete_homes_before(conn: Connection, before: datetime, now: datetime) -> int:
    """Removes the rows older than `before`, and the legacy tokens that have expired by `now`.

    Returns the number of rows.
    """
    ended = or_(legacy_sessions.c.at < before, legacy_sessions.c.expires_at < now)
    old = (homes.c.at < before, pairs.c.at < before, ended)
    return sum(
        conn.execute(delete(table).where(where)).rowcount
        for table, where in zip((homes, pairs, legacy_sessions), old, strict=True)
    )


def _home(conn: Connection, owner: str | None, legacy_id: str) -> Home | None:
    return _home_of(_SIDES.first(conn, owner=owner, key=folded_id(legacy_id)))


def _home_of(row: Any) -> Home | None:
    return None if row is None else Home(row.side, row.spelling)


def _sides() -> CompoundSelect[Any]:
    """Returns the query for an id's home, the surest source first.

    Audio without a home is the new side's: it is older than homes.
    """
    new: Side = "new"
    owner, key = bindparam("owner", type_=String), bindparam("key", type_=String)
    of_case = func.coalesce(cases.c.spelling, cases.c.id).label("spelling")
    case = select(literal(new).label("side"), of_case, literal(0).label("rank")).where(cases.c.id == key)
    of_home = func.coalesce(homes.c.spelling, homes.c.legacy_id)
    home = select(homes.c.side, of_home, literal(1)).where(homes.c.owner == owner, homes.c.legacy_id == key)
    audio = select(literal(new), recordings.c.legacy_id, literal(2))
    mine = audio.where(recordings.c.owner == owner, recordings.c.legacy_id == key)
    return union_all(case, home, mine).order_by("rank").limit(1)


_SIDES: Final = PointRead(_sides())


def _turn(legacy_id: str) -> Turn:
    """Returns the turn of those who give this id a home, under whichever of an owner's hashes."""
    return "home", folded_id(legacy_id)


def _memory_key(owner: str | None, legacy_id: str) -> str:
    return f"{owner}/{folded_id(legacy_id)}"


def _key(owner: str, legacy_id: str) -> dict[str, str]:
    return {"owner": owner, "legacy_id": folded_id(legacy_id)}
