"""Decides what is done with the schema of a database: make it, upgrade it, serve it as it is, or refuse it.

A release only adds to the schema what the release before it can bear, and removes what no release needs any
more. So both serve one database while one replaces the other.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from proxy.store.errors import StoreError

Step: TypeAlias = Literal["make", "upgrade", "none"]

_RUN: Final = "run `michiq-proxy migrate` first"


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema that a database has; `revision` is None where no single one is noted.

    `oldest` is the revision of the oldest release that can still serve it, as the newest release noted it.
    """

    empty: bool
    revision: str | None = None
    oldest: str | None = None


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revision of a schema before and after a migration; `before` is None where there was none."""

    before: str | None
    after: str


def next_step(found: Schema, newest: str, *, may_change: bool) -> Step:
    """Returns what a release, whose newest revision is `newest`, does first with a database.

    Raises StoreError when it can't serve the schema, or would have to change it and may not.
    """
    if found.revision is not None and found.revision >= newest:
        if found.revision == newest or (found.oldest is not None and found.oldest <= newest):
            return "none"
        raise StoreError("the database was made by a newer release; run that release, or restore a backup")
    if not may_change:
        raise StoreError(f"MICHIQ_DATABASE_URL: {_lack(found, newest)}; {_RUN}")
    return "make" if found.empty else "upgrade"


def _lack(found: Schema, newest: str) -> str:
    if found.empty:
        return "the database has no tables yet"
    return f"the database is of an older release (revision {found.revision}; this release needs {newest})"
