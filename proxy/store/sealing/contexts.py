"""Makes encryption contexts: a sealed value opens only in the column and the row that it was sealed for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NewType

from sqlalchemy import Column, Row, Table

from proxy.store.sql.tables import (
    api_keys,
    case_files,
    cases,
    chunks,
    clients,
    conversations,
    deliveries,
    journal,
    legacy_sessions,
    overrides,
    recordings,
    reports,
    sessions,
    transcriptions,
)

# The associated data of a sealed value, beside the id of its key.
Context = NewType("Context", bytes)

_SURROGATES: Final = "surrogatepass"  # an id is any text that an upstream gave

# The columns that name a row for good. A primary key does not where a row may move: a user's rows move to
# another hash of the same user (N06), short chunks move to another recording (U04). A number that the
# database gives does not either: after a restore the database may give it again. Two values follow their
# rows and are sealed again then: the text of a transcription whose digest is renamed, and the token of a
# user whose hash changes.
NATURAL_KEYS: Final[Mapping[Table, Sequence[Column[Any]]]] = {
    api_keys: (api_keys.c.ref,),
    sessions: (sessions.c.token_hash,),
    cases: (cases.c.id,),
    case_files: (case_files.c.case_id, case_files.c.position),
    journal: (journal.c.id,),
    recordings: (recordings.c.id,),
    chunks: (chunks.c.blob,),
    transcriptions: (transcriptions.c.legacy_id, transcriptions.c.digest),
    conversations: (conversations.c.case_id,),
    reports: (reports.c.id,),
    legacy_sessions: (legacy_sessions.c.owner,),
    overrides: (overrides.c.revision,),
    clients: (clients.c.id,),
    deliveries: (deliveries.c.digest,),
}


class SealedColumn:
    """Makes the contexts of one sealed column."""

    def __init__(self, column: Column[Any]) -> None:
        self._natural_key = NATURAL_KEYS[column.table]
        self._label = _counted(f"{column.table.name}.{column.name}")

    def at(self, *key: str | int) -> Context:
        """Returns the context of the value in the row of this natural key."""
        return _context(self._label, *key)

    def of(self, row: Row[Any]) -> Context:
        """Returns the context of the value in this row, which holds the columns of its natural key."""
        return self.at(*(row._mapping[column] for column in self._natural_key))


def named_context(name: str) -> Context:
    """Returns the context of a value that has no table of its own, but a name in `meta`."""
    return _context(_counted("meta.value"), name)


def _context(label: str, *key: str | int) -> Context:
    return Context((label + "".join([_counted(str(part)) for part in key])).encode("utf-8", _SURROGATES))


def _counted(part: str) -> str:
    # Each part follows its length, so that no two lists of parts give one text.
    return f"{len(part)}:{part}"
