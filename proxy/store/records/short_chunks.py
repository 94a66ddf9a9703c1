"""Stores chunks too short for a signature where they came, and moves them if the next chunk says so (U04)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, insert, select, update

from proxy.store.errors import StoreError
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.tables import chunks, links, recordings, transcriptions
from proxy.values import digests_of

_SHORT: Final = SealedColumn(chunks.c.short)
_FILENAME: Final = SealedColumn(recordings.c.filename)
_TEXT: Final = SealedColumn(transcriptions.c.text)
# A run of short chunks is shorter than the longest signature, which has twelve bytes.
_MOST: Final = 12
# The states of a linked case that nobody is making any more.
_ENDED: Final = ("done", "failed", "ambiguous")


@dataclass(frozen=True, slots=True)
class ShortChunk:
    """A chunk that is too short for a signature, as it would open a recording."""

    data: bytes = field(repr=False)
    filename: str | None = field(repr=False)
    content_type: str | None


def seal_short(sealer: Sealer, chunk: ShortChunk | None, blob: str) -> bytes | None:
    """Returns the value of the column `short`."""
    if chunk is None:
        return None
    return sealer.seal_json([chunk.data.hex(), chunk.filename, chunk.content_type], _SHORT.at(blob))


def open_shorts(sealer: Sealer, newest_first: Sequence[Row[Any]]) -> tuple[ShortChunk, ...]:
    """Returns the short chunks at the end of a recording, in order of arrival."""
    run = takewhile(lambda row: row.short is not None, newest_first)
    opened = [sealer.open_json(row.short, _SHORT.at(row.blob)) for row in run]
    return tuple(ShortChunk(bytes.fromhex(data), *names) for data, *names in reversed(opened))


def last_shorts(recording_id: str) -> Select[Any]:
    """Returns the query for a recording's last chunks, newest first: the longest run of short ones."""
    query = select(chunks.c.blob, chunks.c.short).filter_by(recording_id=recording_id)
    return query.order_by(chunks.c.position.desc()).limit(_MOST)


def open_with(
    conn: Connection, sealer: Sealer, last: Row[Any], taken: int, opening: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Opens a recording with the last `taken` chunks of the `last` one.

    Returns the position of the chunk after them. If the last recording has only those chunks, it becomes the
    new one.
    """
    start = last.position - taken + 1
    if start <= 0:
        kind = {name: opening[name] for name in ("content_type", "container")}
        old, new = _FILENAME.at(opening["id"]), _FILENAME.at(last.id)
        kind["filename"] = sealer.moved(opening["filename"], old, new)
        conn.execute(update(recordings).filter_by(id=last.id).values(**kind))
        return {"recording_id": last.id, "position": last.position + 1}
    _rename(conn, sealer, last, start, opening)
    conn.execute(insert(recordings).values(number=last.number + 1, **opening))
    moved = update(chunks).where(chunks.c.recording_id == last.id, chunks.c.position >= start)
    position = {"recording_id": opening["id"], "position": chunks.c.position - start}
    conn.execute(moved.values(**position))
    return {"recording_id": opening["id"], "position": taken}


def _rename(conn: Connection, sealer: Sealer, last: Row[Any], start: int, opening: Mapping[str, Any]) -> None:
    """Moves transcription and link of the recording with its short end to the one without (S04, S05)."""
    query = select(chunks.c.sha256).filter_by(recording_id=last.id).order_by(chunks.c.position)
    digests = digests_of(conn.execute(query).scalars().all())
    legacy_id, owner = opening["legacy_id"], opening["owner"]
    transcribed = and_(transcriptions.c.legacy_id == legacy_id, transcriptions.c.owner == owner)
    linked = and_(links.c.case_id == legacy_id, links.c.state.in_(_ENDED))
    for old in reversed(digests[start:]):
        _rename_transcription(conn, sealer, transcribed, old, digests[start - 1])
        _rename_in(conn, links, linked, old, {"digest": digests[start - 1]})


def _rename_transcription(
    conn: Connection, sealer: Sealer, where: ColumnElement[bool], old: str, new: str
) -> None:
    """Renames the transcription. Its text is bound to the digest, so it is sealed again."""
    query = select(transcriptions).where(where, transcriptions.c.digest == old)
    row = conn.execute(query).one_or_none()
    if row is None:
        return
    with suppress(StoreError):  # its key is gone: it stays as it is, and opens under neither digest
        text = sealer.moved(row.text, _TEXT.of(row), _TEXT.at(row.legacy_id, new))
        _rename_in(conn, transcriptions, where, old, {"digest": new, "text": text})


def _rename_in(
    conn: Connection, table: Table, where: ColumnElement[bool], old: str, values: Mapping[str, Any]
) -> None:
    taken = conn.execute(select(table.c.digest).where(where, table.c.digest == values["digest"])).first()
    if taken is None:
        conn.execute(update(table).where(where, table.c.digest == old).values(**values))
