"""Notes in the database that it is a copy that has not ended, and how far it is: nobody may serve it yet."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, delete, select

from proxy.store.sql.rows import upsert
from proxy.store.sql.tables import meta

Phase: TypeAlias = Literal["rows", "blobs"]

COPY_NOTE: Final = "copying"
UNFINISHED_COPY: Final = (
    "a copy into this store is not finished: run `michiq-proxy copy-store` to its end, or empty the database"
)


@dataclass(frozen=True, slots=True)
class CopyNote:
    """A copy that has begun: the fingerprint of its source, and the last position that is on disk.

    `after` is the key of the last row of `table` that is copied, empty before the first. In the phase
    `blobs` it is the last row whose blob is copied.
    """

    source: str
    phase: Phase
    table: str
    after: tuple[Any, ...] = ()


def read_note(conn: Connection) -> CopyNote | None:
    """Returns the note of the copy that has not ended; None if there is none."""
    stored = conn.execute(select(meta.c.value).where(meta.c.name == COPY_NOTE)).scalar_one_or_none()
    if stored is None:
        return None
    read = json.loads(stored)
    return CopyNote(read["source"], read["phase"], read["table"], tuple(read["after"]))


def write_note(conn: Connection, note: CopyNote) -> None:
    value = {"source": note.source, "phase": note.phase, "table": note.table, "after": note.after}
    upsert(conn, meta, {"name": COPY_NOTE}, {"value": json.dumps(value).encode()})


def remove_note(conn: Connection) -> None:
    conn.execute(delete(meta).where(meta.c.name == COPY_NOTE))
