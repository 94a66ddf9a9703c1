"""Stores transcriptions (CONTRACT S04), one per id and audio, so that no audio is paid for twice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select

from proxy.store.records.owners import current
from proxy.store.records.sessions import check_standing
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, runs_again
from proxy.store.sql.rows import batches, upsert
from proxy.store.sql.tables import transcriptions
from proxy.values import Transcription, folded_id

_OF_IDS: Final = (
    select(transcriptions)
    .where(
        transcriptions.c.owner == bindparam("owner"),
        transcriptions.c.legacy_id.in_(bindparam("legacy_ids", expanding=True)),
    )
    .order_by(transcriptions.c.created_at, transcriptions.c.digest)
)
_TEXT: Final = SealedColumn(transcriptions.c.text)


@dataclass(frozen=True, slots=True)
class Transcriptions:
    """The transcriptions under (owner, legacy id, SHA-256 of the audio)."""

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
        """Stores the transcription; it replaces one of the same audio, and those of its `parts`.

        Raises SessionGone when the session `ref` has gone.
        """
        key = {"owner": owner, "legacy_id": folded_id(legacy_id), "digest": transcription.digest}
        context = _TEXT.at(key["legacy_id"], transcription.digest)
        values = {
            "text": self.sealer.seal_text(transcription.text, context),
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

        await self.database.write(work, found=runs_again)

    async def of(self, owner: str, legacy_id: str) -> list[Transcription]:
        """Returns all transcriptions of the id, in the order in which they were made."""
        return (await self.of_ids(owner, [legacy_id]))[legacy_id]

    async def of_ids(self, owner: str, legacy_ids: Sequence[str]) -> Mapping[str, list[Transcription]]:
        """Returns all transcriptions of each of these ids, in the order in which they were made."""
        return await self.database.read(lambda conn: self.within(conn, owner, legacy_ids))

    def within(
        self, conn: Connection, owner: str, legacy_ids: Sequence[str]
    ) -> Mapping[str, list[Transcription]]:
        """Returns the transcriptions of `of_ids`, in a unit of work that reads more."""
        found: dict[str, list[Transcription]] = {folded_id(each): [] for each in legacy_ids}
        for batch in batches([*found]):
            for row in conn.execute(_OF_IDS, {"owner": owner, "legacy_ids": batch}):
                found[row.legacy_id].append(self._transcription(row))
        return {each: found[folded_id(each)] for each in legacy_ids}

    def opened(
        self, legacy_id: str, digest: str, text: bytes, seconds: float, created_at: datetime
    ) -> Transcription:
        """Returns the transcription of a row's values."""
        return Transcription(
            digest, self.sealer.open_text(text, _TEXT.at(legacy_id, digest)), seconds, created_at
        )

    def _transcription(self, row: Row[Any]) -> Transcription:
        return self.opened(row.legacy_id, row.digest, row.text, row.seconds, row.created_at)
