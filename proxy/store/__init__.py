"""Opens the store: everything that outlives a request, sealed at rest (DESIGN "State")."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from proxy.store.audit.request_traces import RequestTraces
from proxy.store.audit.trail import Audit
from proxy.store.audit.usage import Usage
from proxy.store.blobs.folder import FolderBlobs
from proxy.store.blobs.protocol import Blobs
from proxy.store.errors import BlobError, StoreError, because
from proxy.store.locations import blobs_folder, database_path, make_private
from proxy.store.presence import Presence, present
from proxy.store.records.additions import Additions
from proxy.store.records.cases import Cases
from proxy.store.records.conversations import Conversations
from proxy.store.records.deliveries import Deliveries
from proxy.store.records.homes import Homes
from proxy.store.records.journal import Journal, JournalEntry
from proxy.store.records.links import Links
from proxy.store.records.owners import Owners
from proxy.store.records.recordings import Recordings
from proxy.store.records.reports import Reports
from proxy.store.records.sessions import Sessions
from proxy.store.records.transcriptions import Transcriptions
from proxy.store.rollout.contract_runs import ContractRuns
from proxy.store.rollout.evidence import Evidence
from proxy.store.rollout.overrides import OverrideStore
from proxy.store.rollout.processes import Processes
from proxy.store.sealing.keys import Keys
from proxy.store.sealing.sealer import Sealer, load_sealer
from proxy.store.sql.changes import Changes
from proxy.store.sql.database import Database
from proxy.store.sql.memory import Memory
from proxy.store.sql.sqlite import open_database
from proxy.store.upkeep.erasure import Erasure
from proxy.store.upkeep.probe import Probe, Space
from proxy.store.upkeep.retention import Retention
from proxy.store.upkeep.rotation import Rotation
from proxy.values import PendingCall

__all__ = ["BlobError", "JournalEntry", "Space", "Store", "StoreError", "open_store"]


@dataclass(frozen=True, slots=True)
class Store:
    """An open store with all its parts; made by `open_store`."""

    database: Database
    sealer: Sealer
    blobs: Blobs
    owners: Owners
    sessions: Sessions
    cases: Cases
    journal: Journal
    recordings: Recordings
    transcriptions: Transcriptions
    links: Links
    conversations: Conversations
    reports: Reports
    deliveries: Deliveries
    audit: Audit
    overrides: OverrideStore
    processes: Processes
    presence: Presence
    homes: Homes
    evidence: Evidence
    ledger: Usage
    stories: RequestTraces
    contract_runs: ContractRuns
    retention: Retention
    erasure: Erasure
    rotation: Rotation
    keys: Keys
    probe: Probe
    changes: Changes
    additions: Additions

    def over(self, database: Database, blobs: Blobs) -> "Store":
        """Returns a store of the same parts over another database and other blobs, with this one's keys."""
        memory, folders = self.changes.memory, self.probe.folders
        return _assemble(database, self.sealer, memory, blobs, self.presence, folders)

    async def pending(self) -> list[PendingCall]:
        """Returns the ambiguous calls, oldest first: an operator has to look at them."""
        calls = [
            PendingCall(each.id, each.kind, each.cause, each.created_at, each.case_id)
            for each in await self.journal.pending()
        ]
        return sorted([*calls, *await self.links.ambiguous()], key=attrgetter("at"))

    async def check(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises StoreError when a write does not go through within 5 s; readiness asks (see `Probe`)."""
        await self.probe.check(monotonic)

    async def space(self) -> Space:
        """Returns the room of the disk that has the least. Raises StoreError when that can't be read."""
        return await self.probe.space()


@asynccontextmanager
async def open_store(
    database_url: str, blobs_url: str, keys: Sequence[str], *, renews: bool = True
) -> AsyncIterator[Store]:
    """Opens the store, made if absent, and at the end finishes its writes and closes it.

    `keys` are those of MICHIQ_SECRET_KEYS, newest first; `renews` is that of `load_sealer`. Raises StoreError
    when an address, a key or a file is not usable; its text is meant for the operator.
    """
    path, folder = database_path(database_url), blobs_folder(blobs_url)
    with ExitStack() as stack:
        try:
            await asyncio.to_thread(make_private, path.parent)
            blobs = await asyncio.to_thread(FolderBlobs, folder, _new_id)
            presence = stack.enter_context(present(path.with_name(f"{path.name}.processes"), _new_id()))
        except OSError as error:
            said = f"MICHIQ_DATABASE_URL, MICHIQ_BLOBS_URL: {error.strerror}: {error.filename}"
            raise because(said, error) from error
        memory = Memory(time.monotonic)
        opening = open_database(path, memory.forget, presence.refuse_others_format)
        async with opening as database:
            yield _assemble(
                database,
                await load_sealer(database, keys, renews=renews),
                memory,
                blobs,
                presence,
                (path.parent, folder),
            )


def _assemble(
    database: Database,
    sealer: Sealer,
    memory: Memory,
    blobs: Blobs,
    presence: Presence,
    folders: tuple[Path, Path],
) -> Store:
    journal, owners = Journal(database, sealer, presence), Owners(database, sealer)
    transcriptions = Transcriptions(database, sealer)
    audit, ledger, reports = Audit(database, sealer), Usage(database, sealer), Reports(database, sealer)
    return Store(
        database=database,
        sealer=sealer,
        blobs=blobs,
        owners=owners,
        sessions=Sessions(database, sealer, memory),
        cases=Cases(database, sealer, memory),
        journal=journal,
        recordings=Recordings(database, sealer, _new_id),
        transcriptions=transcriptions,
        additions=Additions(database, transcriptions, reports),
        links=Links(database, presence),
        conversations=Conversations(database, sealer),
        reports=reports,
        deliveries=Deliveries(database, sealer, reports),
        audit=audit,
        overrides=OverrideStore(database, sealer, audit),
        processes=Processes(database),
        presence=presence,
        homes=Homes(database, sealer, memory),
        evidence=Evidence(database, ledger, audit),
        ledger=ledger,
        stories=RequestTraces(database),
        contract_runs=ContractRuns(database),
        retention=Retention(database, journal, blobs),
        erasure=Erasure(database, sealer, audit, blobs, owners),
        rotation=Rotation(database, sealer, presence),
        keys=Keys(database, sealer),
        probe=Probe(database, blobs, folders),
        changes=Changes(database, memory, time.monotonic),
    )


def _new_id() -> str:
    return secrets.token_hex(16)
