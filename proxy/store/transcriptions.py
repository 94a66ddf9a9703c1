"""Kept transcriptions (CONTRACT S04): one per id and audio, so that no audio is paid for twice."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from proxy.store.database import Database
from proxy.store.owners import current
from proxy.store.rows import batches, upsert
from proxy.store.sealer import Sealer
from proxy.store.sessions import check_standing
from proxy.store.tables import transcriptions
from proxy.values import Transcription, folded_id


@dataclass(frozen=True, slots=True)
class Transcriptions:
    """Transcriptions under (owner, legacy id, SHA-256 of the audio)."""

    database: Database
    sealer: Sealer

    async def get(self, owner: str, legacy_id: str, digest: str) -> Transcription | None:
        key = {"owner": owner, "legacy_id": folded_id(legacy_id), "digest": digest}
        query = select(transcriptions).filter_by(**key)

        def work(conn: Connection) -> Row[Any] | None:
            return conn.execute(query).one_or_none()

        row = await self.database.lookup(work)
        return None if row is None else self._transcription(row)

    async def put(
        self,
        owner: str,
        legacy_id: str,
        transcription: Transcription,
        parts: Collection[str] = (),
        ref: str | None = None,
    ) -> None:
        """Keeps the transcription, in the place of one of the same audio and of those of `parts` of it.

        Raises SessionGone where the session `ref` has gone.
        """
        key = {"owner": owner, "legacy_id": folded_id(legacy_id), "digest": transcription.digest}
        values = {
            "text": self.sealer.seal_text(transcription.text),
            "seconds": transcription.seconds,
            "created_at": transcription.created_at,
        }

        def work(conn: Connection) -> None:
            check_standing(conn, ref)
            table = transcriptions.c
            key["owner"] = current(conn, owner)
            own = table.owner == key["owner"], table.legacy_id == key["legacy_id"]
            for batch in batches(list(parts)):
                conn.execute(delete(transcriptions).where(*own, table.digest.in_(batch)))
            upsert(conn, transcriptions, key, values)

        await self.database.write(work)

    async def of(self, owner: str, legacy_id: str) -> list[Transcription]:
        """All of the id, in the order in which they were made."""
        return (await self.of_ids(owner, [legacy_id]))[legacy_id]

    async def of_ids(self, owner: str, legacy_ids: Sequence[str]) -> Mapping[str, list[Transcription]]:
        """All of each of these ids, in the order in which they were made."""
        table = transcriptions.c
        told: dict[str, list[Transcription]] = {folded_id(each): [] for each in legacy_ids}

        def work(conn: Connection) -> list[Row[Any]]:
            found: list[Row[Any]] = []
            for batch in batches([*told]):
                query = select(transcriptions).where(table.owner == owner, table.legacy_id.in_(batch))
                found += conn.execute(query.order_by(table.created_at, table.digest)).all()
            return found

        rows = await self.database.read(work)
        for row, each in zip(rows, await asyncio.to_thread(self._opened, rows), strict=True):
            told[row.legacy_id].append(each)
        return {each: told[folded_id(each)] for each in legacy_ids}

    def _opened(self, rows: Sequence[Row[Any]]) -> list[Transcription]:
        return [self._transcription(row) for row in rows]

    def _transcription(self, row: Row[Any]) -> Transcription:
        return Transcription(row.digest, self.sealer.open_text(row.text), row.seconds, row.created_at)
