"""Stores sessions: legacy tokens, and the user and access token behind each (CONTRACT G05, G06)."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from proxy.store.errors import StoreError
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.changes import note_change
from proxy.store.sql.database import Database, Work, runs_again
from proxy.store.sql.memory import Memory, subject_of
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.rows import delete_unused, put, upsert
from proxy.store.sql.tables import api_keys, sessions
from proxy.values import Identity, Json, Session

_API_KEY: Final = SealedColumn(api_keys.c.api_key)
_WHO: Final = SealedColumn(sessions.c.who)
_ACCESS: Final = SealedColumn(sessions.c.access_token)

_NEWEST: Final = 16  # one of them has the caller's spelling, unless the caller uses many spellings
_WITH_KEY: Final = select(sessions, api_keys.c.api_key).join(api_keys)
_BY_TOKEN: Final = PointRead(_WITH_KEY.where(sessions.c.token_hash == bindparam("token")))
_CHANGE: Final = PointWrite(update(sessions).where(sessions.c.token_hash == bindparam("token")))
_NEWEST_OF: Final = (
    _WITH_KEY.where(sessions.c.owner == bindparam("owner")).order_by(sessions.c.expires_at.desc()).limit(1)
)
_OWNER: Final = select(sessions.c.owner).where(sessions.c.token_hash == bindparam("token"))
_OWNER_OF: Final = PointRead(_OWNER)
_STANDING: Final = PointRead(_OWNER.with_for_update(read=True, key_share=True))
_KEY: Final = select(api_keys.c.api_key).where(api_keys.c.ref == bindparam("ref"))
_KEY_IN_USE: Final = PointRead(_KEY.with_for_update(read=True, key_share=True))


class SessionGone(Exception):
    """An error: the session that a write was for was erased, or has ended, since the request began."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions under the SHA-256 of their token; an API key is stored once for all its sessions."""

    database: Database
    sealer: Sealer
    memory: Memory

    async def put(self, token: str, session: Session) -> None:
        """Stores the session; it replaces one under the same token."""
        await self.database.write(self.putting(token, session), found=runs_again)

    def putting(self, token: str, session: Session) -> Work[None]:
        """Returns the work of `put`, for a write that does more."""
        rows = session_rows(self.sealer, token, session)
        subject = subject_of("session", token_hash(token))
        cached: Session | None = self.memory.get("session", token_hash(token))
        # A session that only lives longer ends no cached value: others read it again once it is over.
        lives_on = cached is not None and session == replace(
            cached, expires_at=session.expires_at, access_expires_at=session.access_expires_at
        )

        def work(conn: Connection) -> None:
            if write_session(conn, token, rows) and not lives_on:
                note_change(conn, subject)

        return work

    async def get(self, token: str, now: datetime | None = None) -> Session | None:
        """Returns the session, expired or not: the caller checks that.

        With `now`, a cached session is read again when it or its access token has expired by then: it may
        have been renewed.
        """
        key, mark = token_hash(token), self.memory.mark()
        cached: Session | None = self.memory.get("session", key)
        if cached is not None and (now is None or _lives(cached, now)):
            return cached

        row = await self.database.find(_BY_TOKEN, token=key)
        if row is None:
            return None
        session = self._session(row)
        self.memory.keep("session", key, session, mark)
        return session

    async def newest_of(self, owner: str) -> Session | None:
        """Returns the owner's session that ends last, ended or not; None when the owner has none left."""

        def work(conn: Connection) -> Row[Any] | None:
            return conn.execute(_NEWEST_OF, {"owner": owner}).one_or_none()

        row = await self.database.lookup(work)
        return None if row is None else self._session(row)

    async def newest_access_of(self, identity: Identity, owner: str, now: datetime) -> Session | None:
        """Returns the caller's session whose access token ends last; None when none lives at `now`."""
        key = self.sealer.digest("api_key", identity.api_key)
        mine = (sessions.c.owner == owner, sessions.c.key_ref == key)
        lives = (sessions.c.expires_at > now, sessions.c.access_expires_at > now)
        query = select(sessions, api_keys.c.api_key).join(api_keys).where(*mine, *lives)
        newest_first = query.order_by(sessions.c.access_expires_at.desc()).limit(_NEWEST)

        def work(conn: Connection) -> Sequence[Row[Any]]:
            return conn.execute(newest_first).all()

        found = map(self._session, await self.database.read(work))
        return next((each for each in found if each.identity == identity), None)

    async def renew(self, token: str, access_token: str, access_expires_at: datetime | None) -> None:
        """Gives the session a fresh access token; the legacy token stays the same (G06)."""
        work = self.renewing(token, access_token, access_expires_at)
        await self.database.write(work, found=runs_again)

    def renewing(self, token: str, access_token: str, access_expires_at: datetime | None) -> Work[None]:
        """Returns the work of `renew`, for a write that does more."""
        values = {
            "access_token": self.sealer.seal_text(access_token, _ACCESS.at(token_hash(token))),
            "access_expires_at": access_expires_at,
        }
        key = token_hash(token)

        def work(conn: Connection) -> None:
            _CHANGE.run(conn, {"token": key, **values})
            note_change(conn, subject_of("session", key))

        return work

    def _session(self, row: Row[Any]) -> Session:
        user, sent_organization, organization = self.sealer.open_json(row.who, _WHO.at(row.token_hash))
        return Session(
            identity=Identity(
                api_key=self.sealer.open_text(row.api_key, _API_KEY.at(row.key_ref)),
                user=user,
                organization=sent_organization,
            ),
            organization=organization,
            owner=row.owner,
            access_token=self.sealer.open_text(row.access_token, _ACCESS.at(row.token_hash)),
            access_expires_at=row.access_expires_at,
            expires_at=row.expires_at,
            side=row.side,
            ref=row.token_hash,
        )


@dataclass(frozen=True, slots=True)
class SessionRows:
    """A session as it is stored: its user, its access token on the new platform, and its API key."""

    who: Mapping[str, Any]
    access: Mapping[str, Any]
    sealed_key: bytes
    opens_key: Callable[[bytes], bool]  # whether a stored value is this API key


def session_rows(sealer: Sealer, token: str, session: Session) -> SessionRows:
    """Seals the private parts of a session; `write_session` writes the result."""
    identity, key = session.identity, token_hash(token)
    ref = sealer.digest("api_key", identity.api_key)

    def opens_key(sealed: bytes) -> bool:
        try:
            return sealer.open_text(sealed, _API_KEY.at(ref)) == identity.api_key
        except StoreError:  # it was sealed with a key that is gone
            return False

    who: list[Json] = [identity.user, identity.organization, session.organization]
    return SessionRows(
        who={
            "key_ref": ref,
            "owner": session.owner,
            "who": sealer.seal_json(who, _WHO.at(key)),
            "expires_at": session.expires_at,
            "side": session.side,
        },
        access={
            "access_token": sealer.seal_text(session.access_token, _ACCESS.at(key)),
            "access_expires_at": session.access_expires_at,
        },
        sealed_key=sealer.seal_text(identity.api_key, _API_KEY.at(ref)),
        opens_key=opens_key,
    )


def write_session(conn: Connection, token: str, rows: SessionRows, *, keep_access: bool = False) -> bool:
    """Writes the session in the caller's transaction; returns whether it was there.

    `keep_access` is for a session that is certainly there: its access token stays.
    """
    key = {"token_hash": token_hash(token)}
    ref = rows.who["key_ref"]
    # Written only if need be: an organization's callers all have the same key, and would wait in line for it.
    stored = _KEY_IN_USE.first(conn, ref=ref)
    if stored is None or not rows.opens_key(stored.api_key):
        upsert(conn, api_keys, {"ref": ref}, {"api_key": rows.sealed_key})
    if keep_access:
        _CHANGE.run(conn, {"token": key["token_hash"], **rows.who})
        return True
    return put(conn, sessions, key, {**rows.who, **rows.access})


def owner_of(conn: Connection, token: str) -> str | None:
    """Returns the owner of the token's session, in the caller's transaction; None without a session."""
    row = _OWNER_OF.first(conn, token=token_hash(token))
    return None if row is None else row.owner


def check_standing(conn: Connection, ref: str | None) -> None:
    """Raises SessionGone, in the caller's transaction, when the session of this `Session.ref` has gone.

    A cached session may be a second old, and a write for an erased user would bring their data back. `ref`
    None is a write for no session. The session stays until the transaction ends.
    """
    if ref is not None and _STANDING.first(conn, token=ref) is None:
        raise SessionGone


def delete_expired(conn: Connection, now: datetime) -> int:
    """Removes the sessions that ended before `now`, and the API keys that no session needs any more.

    Returns the number of sessions.
    """
    ended = conn.execute(delete(sessions).where(sessions.c.expires_at < now)).rowcount
    delete_unused_keys(conn)
    return ended


def delete_unused_keys(conn: Connection) -> None:
    delete_unused(conn, api_keys.c.ref, api_keys.c.ref.not_in(select(sessions.c.key_ref)))


def lock_sessions(conn: Connection, owners: Collection[str]) -> None:
    """Lets the writes end that are for these owners' sessions (`check_standing`), and no other one begin."""
    query = select(sessions.c.token_hash).where(sessions.c.owner.in_(owners))
    conn.execute(query.order_by(sessions.c.token_hash).with_for_update()).all()


def _lives(session: Session, now: datetime) -> bool:
    access = session.access_expires_at
    return session.expires_at > now and (access is None or access > now)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
