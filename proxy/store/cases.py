"""The durable records of cases (CONTRACT N18); `Journal.record` writes them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.store.database import Database
from proxy.store.sealer import Sealer
from proxy.store.tables import cases
from proxy.values import Case, CaseFile, Tokens


@dataclass(frozen=True, slots=True)
class Cases:
    """Cases by id and by owner. What is said of a patient is one sealed value; opening it takes a thread."""

    database: Database
    sealer: Sealer

    async def get(self, case_id: str) -> Case | None:
        """The case of whichever owner: comparing `owner` is the caller's (D02, E01 and U03 differ)."""

        async def work(conn: AsyncConnection) -> Row[Any] | None:
            return (await conn.execute(select(cases).where(cases.c.id == case_id))).one_or_none()

        row = await self.database.read(work)
        return None if row is None else await asyncio.to_thread(_case, self.sealer, row)

    async def of_owner(self, owner: str) -> list[Case]:
        """All cases of this user in this organization, newest first (L01)."""
        query = select(cases).where(cases.c.owner == owner)

        async def work(conn: AsyncConnection) -> Sequence[Row[Any]]:
            return (await conn.execute(query.order_by(cases.c.created_at.desc(), cases.c.id))).all()

        rows = await self.database.read(work)
        return await asyncio.to_thread(lambda: [_case(self.sealer, row) for row in rows])


def case_row(sealer: Sealer, case: Case) -> dict[str, Any]:
    """The columns of a case. Seals all its texts, which may be megabytes: call it in a thread."""
    return {
        "id": case.id,
        "owner": case.owner,
        "created_at": case.created_at,
        "runtime_ms": case.runtime_ms,
        "tokens_conversation": case.tokens.conversation,
        "tokens_ehr": case.tokens.ehr,
        "tokens_documents": case.tokens.documents,
        "template": case.template,
        "agent": case.agent,
        "content": sealer.seal_json(
            {
                "user": case.user,
                "organization": case.organization,
                "patient_id": case.patient_id,
                "patient_name": case.patient_name,
                "title": case.title,
                "ehr": case.ehr,
                "conversation": case.conversation,
                "files": [[f.name, f.content_type, f.size, f.sha256, f.text] for f in case.files],
            }
        ),
    }


def _case(sealer: Sealer, row: Row[Any]) -> Case:
    content = sealer.open_json(row.content)
    files = content.pop("files")
    return Case(
        id=row.id,
        owner=row.owner,
        created_at=row.created_at,
        runtime_ms=row.runtime_ms,
        tokens=Tokens(row.tokens_conversation, row.tokens_ehr, row.tokens_documents),
        template=row.template,
        agent=row.agent,
        files=tuple(CaseFile(*file) for file in files),
        **content,
    )
