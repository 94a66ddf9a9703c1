"""The audit trail: who did what, about which hashed subject (CONTRACT N05)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.store.database import Database
from proxy.store.tables import audit

_PROXY: Final = "proxy"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """`subject` is a keyed hash, never a name."""

    at: datetime
    actor: str
    action: str
    subject: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Rows are only ever added."""

    database: Database

    async def first_sight(self, kind: Literal["user", "organization"], digest: str, at: datetime) -> bool:
        """True, and an audit row, the first time that this user or organization is seen; else False."""
        event = AuditEvent(at, _PROXY, f"first_{kind}", digest)

        async def seen(conn: AsyncConnection) -> bool:
            same = select(audit.c.id).filter_by(action=event.action, subject=digest).limit(1)
            return (await conn.execute(same)).first() is not None

        async def work(conn: AsyncConnection) -> bool:
            if await seen(conn):
                return False
            await _insert(conn, event)
            return True

        if await self.database.read(seen):  # nearly always: no need to wait for the writer
            return False
        return await self.database.write(work)

    async def add(self, actor: str, action: str, subject_digest: str, at: datetime) -> None:
        async def work(conn: AsyncConnection) -> None:
            await _insert(conn, AuditEvent(at, actor, action, subject_digest))

        await self.database.write(work)

    async def all(self) -> list[AuditEvent]:
        """Everything, in the order in which it was written."""
        query = select(audit.c.at, audit.c.actor, audit.c.action, audit.c.subject).order_by(audit.c.id)

        async def work(conn: AsyncConnection) -> list[AuditEvent]:
            return [AuditEvent(*row) for row in await conn.execute(query)]

        return await self.database.read(work)


async def _insert(conn: AsyncConnection, event: AuditEvent) -> None:
    columns = {"at": event.at, "actor": event.actor, "action": event.action, "subject": event.subject}
    await conn.execute(insert(audit).values(**columns))
