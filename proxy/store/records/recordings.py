"""Stores uploaded audio: recordings and their chunks (CONTRACT U03, U04); the bytes are in the blob store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select

from proxy.store.records.owners import current
from proxy.store.records.sessions import check_standing
from proxy.store.records.short_chunks import ShortChunk, last_shorts, open_shorts, open_with, seal_short
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database
from proxy.store.sql.rows import has_row
from proxy.store.sql.tables import chunks, recordings
from proxy.values import Chunk, Recording, folded_id

_FILENAME: Final = SealedColumn(recordings.c.filename)
_BLOB_KEY: Final = SealedColumn(chunks.c.blob_key)


@dataclass(frozen=True, slots=True)
class Tip:
    """The last recording of an id and its last chunk, as far as they decide on the next chunk.

    `short` are the chunks at its end that the next one is checked together with, in order of arrival.
    """

    container: str | None
    size: int
    chunk_size: int
    chunk_sha256: str
    short: tuple[ShortChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings under (owner, legacy id), so that equal ids of two owners never meet (U03)."""

    database: Database
    sealer: Sealer
    new_id: Callable[[], str]

    async def add_chunk(
        self,
        owner: str,
        legacy_id: str,
        chunk: Chunk,
        *,
        opens: bool,
        filename: str,
        content_type: str,
        container: str | None,
        at: datetime,
        taken: int = 0,
        short: ShortChunk | None = None,
        ref: str | None = None,
    ) -> bool:
        """Appends the chunk to the last recording, or to a new one if it `opens` one or none is there.

        The new one begins with the last `taken` chunks, which were too `short` for a signature. Returns
        False, with nothing written, when the chunk before has the same bytes: the client sent it again after
        a lost answer, and the caller deletes its blob. Raises SessionGone when the session `ref` has gone.
        """
        recording_id = self.new_id()
        opening = {
            "id": recording_id,
            "owner": owner,
            "legacy_id": folded_id(legacy_id),
            "filename": self.sealer.seal_text(filename, _FILENAME.at(recording_id)),
            "content_type": content_type,
            "container": container,
            "created_at": at,
        }
        columns = {
            "blob": chunk.blob,
            "blob_key": self.sealer.seal(chunk.key, _BLOB_KEY.at(chunk.blob)),
            "size": chunk.size,
            "sha256": chunk.sha256,
            "short": seal_short(self.sealer, short, chunk.blob),
        }

        def work(conn: Connection) -> bool:
            check_standing(conn, ref)
            now = opening["owner"] = current(conn, owner)
            # Locked, lest a sweep removes the recording between the two statements.
            newest = _last(now, legacy_id).with_for_update(read=True, key_share=True, of=recordings)
            last = conn.execute(newest).one_or_none()
            if last is not None and last.sha256 == chunk.sha256:
                return False
            position = _position(conn, self.sealer, last, opening, opens=opens, taken=taken)
            conn.execute(insert(chunks).values(**position, **columns))
            return True

        def found(conn: Connection) -> bool:
            return has_row(conn, chunks, {"blob": chunk.blob})

        # Of the id alone: an owner's hash may change while the write waits.
        turns = [("recording", folded_id(legacy_id))]
        return await self.database.write(work, turns=turns, found=found)

    async def tip(self, owner: str, legacy_id: str) -> Tip | None:
        """Returns the end that the next chunk may continue. It opens no keys, for every chunk asks for it."""

        def work(conn: Connection) -> Tip | None:
            last = conn.execute(_last(owner, legacy_id)).one_or_none()
            if last is None:
                return None
            sizes = select(func.sum(chunks.c.size)).where(chunks.c.recording_id == last.id)
            size = conn.execute(sizes).scalar_one()
            ending = conn.execute(last_shorts(last.id)).all()
            short = open_shorts(self.sealer, ending)
            return Tip(last.container, size, last.size, last.sha256, short)

        return await self.database.lookup(work)

    async def of(self, owner: str, legacy_id: str) -> list[Recording]:
        """Returns all recordings of the id in the order in which they began, chunks in order of arrival."""

        def work(conn: Connection) -> Sequence[Row[Any]]:
            found: Sequence[Row[Any]] = conn.execute(_all(owner, legacy_id)).all()
            return found

        rows = await self.database.read(work)
        return [self._recording(list(own)) for _, own in groupby(rows, key=attrgetter("id"))]

    def _recording(self, rows: Sequence[Row[Any]]) -> Recording:
        head = rows[0]
        return Recording(
            id=head.id,
            legacy_id=head.legacy_id,
            filename=self.sealer.open_text(head.filename, _FILENAME.at(head.id)),
            content_type=head.content_type,
            container=head.container,
            created_at=head.created_at,
            chunks=tuple(map(self._chunk, rows)),
        )

    def _chunk(self, row: Row[Any]) -> Chunk:
        key = self.sealer.open(row.blob_key, _BLOB_KEY.at(row.blob))
        return Chunk(row.blob, key, row.size, row.sha256)


def _position(
    conn: Connection,
    sealer: Sealer,
    last: Row[Any] | None,
    opening: Mapping[str, Any],
    *,
    opens: bool,
    taken: int,
) -> Mapping[str, Any]:
    """Returns the chunk's recording, made if need be, and its position there."""
    if last is not None and not opens:
        return {"recording_id": last.id, "position": last.position + 1}
    if last is not None and taken:
        return open_with(conn, sealer, last, taken, opening)
    number = 0 if last is None else last.number + 1
    conn.execute(insert(recordings).values(number=number, **opening))
    return {"recording_id": opening["id"], "position": 0}


def _last(owner: str, legacy_id: str) -> Select[Any]:
    of_recording = recordings.c.id, recordings.c.number, recordings.c.container
    query = select(*of_recording, chunks.c.position, chunks.c.size, chunks.c.sha256).join(chunks)
    newest_first = (recordings.c.number.desc(), chunks.c.position.desc())
    return query.where(*_under(owner, legacy_id)).order_by(*newest_first).limit(1)


def _all(owner: str, legacy_id: str) -> Select[Any]:
    query = select(recordings, chunks).join(chunks).where(*_under(owner, legacy_id))
    return query.order_by(recordings.c.number, chunks.c.position)


def _under(owner: str, legacy_id: str) -> tuple[Any, Any]:
    return recordings.c.owner == owner, recordings.c.legacy_id == folded_id(legacy_id)
