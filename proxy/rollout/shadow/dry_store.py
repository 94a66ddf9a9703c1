"""The store of a dry run: its writes have results and errors like real ones, and leave nothing."""

from dataclasses import replace

from proxy.store import Store
from proxy.store.blobs.dry import DryBlobs
from proxy.store.records.journal import Journal, JournalEntry
from proxy.store.sql.database import Work
from proxy.store.sql.dry_database import DryDatabase


def dry_store(store: Store) -> Store:
    """Returns a store that reads what is in the given one, and leaves it as it is."""
    dry = store.over(DryDatabase(store.database), DryBlobs(store.blobs))
    return replace(dry, journal=_Journal(dry.database, dry.sealer, dry.presence))


class _Journal(Journal):
    """A journal that does not look for an idempotency key: an earlier entry of the key would be the answer,
    and what the run would send would not be checked."""

    __slots__ = ()

    async def begin(
        self, entry: JournalEntry, *first: Work[object], standing: str | None = None, ref: str | None = None
    ) -> JournalEntry | None:
        return await super().begin(replace(entry, idempotency=None), *first, standing=standing, ref=ref)
