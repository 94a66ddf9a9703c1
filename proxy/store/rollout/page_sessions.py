"""Stores the sessions of the operator's page, by the hash of what the browser sends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.tables import page_sessions

SESSION_LIFE: Final = timedelta(hours=8)  # a shift

_FIND: Final = PointRead(select(page_sessions).where(page_sessions.c.token_hash == bindparam("token_hash")))


@dataclass(frozen=True, slots=True)
class PageSession:
    """A logged-in operator; `operator` is the keyed hash of the token that they logged in with."""

    actor: str
    operator: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PageSessions:
    """The sessions. Of a session's token only its SHA-256 is stored: it has 256 random bits."""

    database: Database
    sealer: Sealer

    def operator(self, token_hash: bytes) -> str:
        """Returns the keyed hash that a session has of its operator's token."""
        return self.sealer.digest("operator", token_hash.hex())

    async def begin(self, token: str, actor: str, operator_hash: bytes, now: datetime) -> None:
        row = {
            "token_hash": _hash(token),
            "actor": actor,
            "operator": self.operator(operator_hash),
            "created_at": now,
            "expires_at": now + SESSION_LIFE,
        }
        await self.database.write(lambda conn: conn.execute(insert(page_sessions), row).rowcount)

    async def find(self, token: str, now: datetime) -> PageSession | None:
        """Returns the session, if there is one and it has not ended."""
        row = await self.database.find(_FIND, token_hash=_hash(token))
        if row is None or row.expires_at <= now:
            return None
        return PageSession(row.actor, row.operator, row.expires_at)

    async def end(self, token: str) -> None:
        of_token = page_sessions.c.token_hash == _hash(token)
        await self.database.write(lambda conn: conn.execute(delete(page_sessions).where(of_token)).rowcount)


def delete_sessions_before(conn: Connection, now: datetime) -> None:
    """Deletes the sessions that have ended."""
    conn.execute(delete(page_sessions).where(page_sessions.c.expires_at <= now))


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
