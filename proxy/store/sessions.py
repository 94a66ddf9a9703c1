"""Legacy tokens and what they stand for (CONTRACT G05, G06)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from proxy.store.database import Database
from proxy.store.rows import upsert
from proxy.store.sealer import Sealer
from proxy.store.tables import api_keys, sessions
from proxy.values import Identity, Session


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions under the SHA-256 of their token; an API key is kept once, however many use it."""

    database: Database
    sealer: Sealer

    async def put(self, token: str, session: Session) -> None:
        """Keeps the session; one under the same token is replaced."""
        rows = session_rows(self.sealer, session)

        def work(conn: Connection) -> None:
            write_session(conn, token, rows)

        await self.database.write(work)

    async def get(self, token: str) -> Session | None:
        """The session, expired or not: judging that is the caller's."""
        query = select(sessions, api_keys.c.api_key).join(api_keys)

        def work(conn: Connection) -> Row[Any] | None:
            return conn.execute(query.where(sessions.c.token_hash == token_hash(token))).one_or_none()

        row = await self.database.read(work)
        return None if row is None else self._session(row)

    async def newest_of(self, owner: str) -> Session | None:
        """The owner's session that ends last, whether or not it has ended; None when they have none left."""
        query = select(sessions, api_keys.c.api_key).join(api_keys).where(sessions.c.owner == owner)

        def work(conn: Connection) -> Row[Any] | None:
            return conn.execute(query.order_by(sessions.c.expires_at.desc()).limit(1)).one_or_none()

        row = await self.database.read(work)
        return None if row is None else self._session(row)

    async def renew(self, token: str, access_token: str, access_expires_at: datetime | None) -> None:
        """Gives the session a fresh access token; the legacy token stays what it was (G06)."""
        values = {
            "access_token": self.sealer.seal_text(access_token),
            "access_expires_at": access_expires_at,
        }

        def work(conn: Connection) -> None:
            conn.execute(update(sessions).where(sessions.c.token_hash == token_hash(token)).values(**values))

        await self.database.write(work)

    def _session(self, row: Row[Any]) -> Session:
        user, sent_organization, organization = self.sealer.open_json(row.who)
        return Session(
            identity=Identity(
                api_key=self.sealer.open_text(row.api_key), user=user, organization=sent_organization
            ),
            organization=organization,
            owner=row.owner,
            access_token=self.sealer.open_text(row.access_token),
            access_expires_at=row.access_expires_at,
            expires_at=row.expires_at,
            side=row.side,
        )


@dataclass(frozen=True, slots=True)
class SessionRows:
    """A session as it is stored: who it is, what it may do on the new platform, and its API key."""

    who: Mapping[str, Any]
    access: Mapping[str, Any]
    sealed_key: bytes


def session_rows(sealer: Sealer, session: Session) -> SessionRows:
    """Seals what is private; `write_session` writes it."""
    identity = session.identity
    return SessionRows(
        who={
            "key_ref": sealer.digest("api_key", identity.api_key),
            "owner": session.owner,
            "who": sealer.seal_json([identity.user, identity.organization, session.organization]),
            "expires_at": session.expires_at,
            "side": session.side,
        },
        access={
            "access_token": sealer.seal_text(session.access_token),
            "access_expires_at": session.access_expires_at,
        },
        sealed_key=sealer.seal_text(identity.api_key),
    )


def write_session(conn: Connection, token: str, rows: SessionRows, *, keep_access: bool = False) -> None:
    """In another write's transaction; `keep_access` leaves the access token of a session that is there."""
    values = rows.who if keep_access else {**rows.who, **rows.access}
    upsert(conn, api_keys, {"ref": rows.who["key_ref"]}, {"api_key": rows.sealed_key})
    upsert(conn, sessions, {"token_hash": token_hash(token)}, values)


def owner_of(conn: Connection, token: str) -> str | None:
    """Whose session the token is, in another write's transaction; None when it is nobody's."""
    query = select(sessions.c.owner).where(sessions.c.token_hash == token_hash(token))
    return conn.execute(query).scalar_one_or_none()


def delete_expired(conn: Connection, now: datetime) -> None:
    """Removes the sessions that ended before `now`, and the API keys that none needs any more."""
    conn.execute(delete(sessions).where(sessions.c.expires_at < now))
    delete_unused_keys(conn)


def delete_unused_keys(conn: Connection) -> None:
    conn.execute(delete(api_keys).where(api_keys.c.ref.not_in(select(sessions.c.key_ref))))


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
