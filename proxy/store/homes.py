"""Where a case lives, and by which names the other side knows it (DESIGN "A case's home")."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from proxy.store.database import Database
from proxy.store.owners import current
from proxy.store.rows import insert_missing, own_spelling, upsert
from proxy.store.sealer import Sealer
from proxy.store.sessions import owner_of, session_rows, write_session
from proxy.store.tables import cases, homes, legacy_sessions, pairs, recordings
from proxy.values import Session, Side, folded_id

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Home:
    """Where an id lives, and how that side spells it (CONTRACT G03)."""

    side: Side
    spelling: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Homes:
    """A case lives where it was made; an id that only audio is kept under, where its first chunk went."""

    database: Database
    sealer: Sealer

    async def of(self, owner: str | None, legacy_id: str) -> Side | None:
        """The side that calls on this id go to; None when nobody knows the id, or not as this owner's."""
        home = await self.find(owner, legacy_id)
        return None if home is None else home.side

    async def find(self, owner: str | None, legacy_id: str) -> Home | None:
        """Where this id lives; None when nobody knows it, or not as this owner's.

        A case of the new side is known whoever asks: whose it is, is for its flow to judge. `owner` None is
        a caller whose token nobody knows.
        """

        def work(conn: Connection) -> Home | None:
            return _home(conn, owner, legacy_id)

        return await self.database.read(work)

    async def claim(self, owner: str, legacy_id: str, side: Side, at: datetime) -> Side:
        """Gives the id to this side unless it has a home already; the home that it has from now on."""
        row = {"side": side, "at": at, "spelling": own_spelling(legacy_id)}

        def work(conn: Connection) -> Side:
            now = current(conn, owner)
            home = _home(conn, now, legacy_id)
            if home is None:
                insert_missing(conn, homes, [{**_place(now, legacy_id), **row}])
            return home.side if home else side

        return await self.database.write(work)

    async def learn_legacy_case(self, token: str, session: Session, legacy_id: str, at: datetime) -> bool:
        """Keeps, in one write, what an answered newCase of the legacy server tells: its token and its case.

        The token becomes a session too, so that the new side can serve it: whatever access token `session`
        names, it has none until it is renewed at first need, or keeps the one it had. False, with nothing
        written, when the token is already another owner's: a session never changes hands.
        """
        told = replace(session, access_token="", access_expires_at=_LONG_AGO, side="legacy")
        rows = session_rows(self.sealer, told)
        newest = {"token": self.sealer.seal_text(token), "expires_at": session.expires_at, "at": at}

        def work(conn: Connection) -> bool:
            owner = owner_of(conn, token)
            if owner not in (None, session.owner):
                return False
            write_session(conn, token, rows, keep_access=owner is not None)
            upsert(conn, legacy_sessions, {"owner": session.owner}, newest)
            home = {"side": told.side, "at": at, "spelling": own_spelling(legacy_id)}
            upsert(conn, homes, _place(session.owner, legacy_id), home)
            return True

        return await self.database.write(work)

    async def legacy_token(self, owner: str, now: datetime) -> str | None:
        """The newest token that the legacy server gave this owner, unless it is known to have expired."""
        row = await self._legacy_session(owner)
        if row is None or (row.expires_at is not None and row.expires_at <= now):
            return None
        return self.sealer.open_text(row.token)

    async def forget_legacy_token(self, owner: str, token: str) -> None:
        """Drops a token that the legacy server refused; one that came in its place meanwhile stays."""
        row = await self._legacy_session(owner)
        if row is None or self.sealer.open_text(row.token) != token:
            return
        same = and_(legacy_sessions.c.owner == owner, legacy_sessions.c.token == row.token)

        def work(conn: Connection) -> None:
            conn.execute(delete(legacy_sessions).where(same))

        await self.database.write(work)

    async def _legacy_session(self, owner: str) -> Row[Any] | None:
        query = select(legacy_sessions).filter_by(owner=owner)

        def work(conn: Connection) -> Row[Any] | None:
            return conn.execute(query).one_or_none()

        return await self.database.read(work)

    async def pair(self, control_id: str, candidate_id: str, owner: str, at: datetime) -> None:
        """Both ids are the same case: the client knows the control's, the shadow's write made the other."""
        ids = {"control_id": folded_id(control_id), "candidate_id": folded_id(candidate_id)}

        def work(conn: Connection) -> None:
            insert_missing(conn, pairs, [{**ids, "owner": current(conn, owner), "at": at}])

        await self.database.write(work)

    async def candidate_of(self, control_id: str) -> str | None:
        """The id of the same case on the other side, folded."""
        same = pairs.c.control_id == folded_id(control_id)
        found = await self._ids(select(pairs.c.candidate_id).where(same))
        return found[0] if found else None

    async def candidates(self, owner: str) -> set[str]:
        """The folded ids of the cases that only a shadow made: the owner was never told of them."""
        return set(await self._ids(select(pairs.c.candidate_id).where(pairs.c.owner == owner)))

    async def has_new_cases(self, owner: str) -> bool:
        """Whether the owner has a case that the new side made for a client, not only for a shadow."""
        shadow = exists().where(pairs.c.candidate_id == cases.c.id)
        return bool(await self._ids(select(cases.c.id).where(cases.c.owner == owner, ~shadow).limit(1)))

    async def _ids(self, query: Select[str]) -> Sequence[str]:
        def work(conn: Connection) -> Sequence[str]:
            return conn.execute(query).scalars().all()

        return await self.database.read(work)


def delete_homes_before(conn: Connection, before: datetime, now: datetime) -> None:
    """Removes what is older than `before`, and the legacy tokens that have expired by `now`."""
    conn.execute(delete(homes).where(homes.c.at < before))
    conn.execute(delete(pairs).where(pairs.c.at < before))
    ended = or_(legacy_sessions.c.at < before, legacy_sessions.c.expires_at < now)
    conn.execute(delete(legacy_sessions).where(ended))


def _home(conn: Connection, owner: str | None, legacy_id: str) -> Home | None:
    row = conn.execute(_sides(owner, folded_id(legacy_id))).one_or_none()
    return None if row is None else Home(row.side, row.spelling)


def _sides(owner: str | None, key: str) -> CompoundSelect[Any]:
    """What is known of the id, the surest first. Audio from before there were homes is the new side's."""
    new: Side = "new"
    of_case = func.coalesce(cases.c.spelling, cases.c.id).label("spelling")
    case = select(literal(new).label("side"), of_case, literal(0).label("rank")).where(cases.c.id == key)
    of_home = func.coalesce(homes.c.spelling, homes.c.legacy_id)
    home = select(homes.c.side, of_home, literal(1)).filter_by(owner=owner, legacy_id=key)
    audio = select(literal(new), literal(key), literal(2)).select_from(recordings)
    mine = audio.filter_by(owner=owner, legacy_id=key)
    return union_all(case, home, mine).order_by("rank").limit(1)


def _place(owner: str, legacy_id: str) -> dict[str, str]:
    return {"owner": owner, "legacy_id": folded_id(legacy_id)}
