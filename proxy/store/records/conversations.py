"""Stores the LlamaChat conversation of each (case, user), and what was sent in it (CONTRACT Q04, Q06)."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from proxy.store.records.owners import current
from proxy.store.records.sessions import check_standing
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, runs_again
from proxy.store.sql.point_reads import PointRead
from proxy.store.sql.point_writes import PointWrite
from proxy.store.sql.rows import upsert
from proxy.store.sql.tables import conversations
from proxy.values import folded_id

_OF_ONE: Final = select(conversations).where(
    conversations.c.case_id == bindparam("case_id"), conversations.c.owner == bindparam("owner")
)
_ONE: Final = PointRead(_OF_ONE)
_LOCKED: Final = PointRead(_OF_ONE.with_for_update())
_CHANGE: Final = PointWrite(
    update(conversations).where(
        conversations.c.case_id == bindparam("of_case"), conversations.c.owner == bindparam("of_owner")
    )
)
_CONVERSATION: Final = SealedColumn(conversations.c.conversation)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation: `id` is LlamaChat's, never leaves the proxy; `sent` has the sent passages' hashes."""

    id: str = field(repr=False)
    sent: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations, at most one for each case and owner."""

    database: Database
    sealer: Sealer

    async def get(self, case_id: str, owner: str) -> Conversation | None:
        row = await self.database.find(_ONE, **_key(case_id, owner))
        if row is None:
            return None
        opened = self.sealer.open_text(row.conversation, _CONVERSATION.at(row.case_id))
        return Conversation(opened, frozenset(row.sent))

    async def put(self, case_id: str, owner: str, conversation_id: str, ref: str | None = None) -> None:
        """Starts over with a new conversation, in which nothing was sent yet.

        Raises SessionGone when the session `ref` has gone.
        """
        context = _CONVERSATION.at(folded_id(case_id))
        values = {"conversation": self.sealer.seal_text(conversation_id, context), "sent": []}

        def work(conn: Connection) -> None:
            check_standing(conn, ref)
            upsert(conn, conversations, _key(case_id, current(conn, owner)), values)

        await self.database.write(work, found=runs_again)

    async def add_sent(self, case_id: str, owner: str, hashes: Set[str]) -> None:
        """Notes passages as sent; does nothing when the conversation was dropped meanwhile."""

        def work(conn: Connection) -> None:
            now = current(conn, owner)
            row = _LOCKED.first(conn, **_key(case_id, now))
            if row is not None:
                key = {"of_case": folded_id(case_id), "of_owner": now}
                _CHANGE.run(conn, {**key, "sent": sorted({*row.sent, *hashes})})

        await self.database.write(work, found=runs_again)

    async def drop(self, case_id: str, owner: str) -> None:
        """Forgets the conversation (LlamaChat answered 404 to it)."""

        def work(conn: Connection) -> None:
            conn.execute(delete(conversations).filter_by(**_key(case_id, owner)))

        await self.database.write(work, found=runs_again)


def _key(case_id: str, owner: str) -> dict[str, str]:
    return {"case_id": folded_id(case_id), "owner": owner}
