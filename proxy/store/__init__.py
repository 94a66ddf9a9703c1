"""Opens the store: everything that outlives a request, sealed at rest (DESIGN "State")."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from operator import attrgetter

from proxy.store.audit.callers import Callers
from proxy.store.audit.last_calls import LastCalls
from proxy.store.audit.request_traces import RequestTraces
from proxy.store.audit.trail import Audit
from proxy.store.audit.trail_search import TrailSearch
from proxy.store.audit.usage import Usage
from proxy.store.backends import Backend, OwnJobs, open_backend
from proxy.store.blobs.opening import open_blobs
from proxy.store.blobs.protocol import Blobs
from proxy.store.errors import BlobError, StoreError
from proxy.store.options import StoreOptions
from proxy.store.presence import Presence
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
from proxy.store.records.unfinished import is_any_unfinished
from proxy.store.rollout.alerts import SentAlerts
from proxy.store.rollout.contract_runs import ContractRuns
from proxy.store.rollout.evidence import Evidence
from proxy.store.rollout.explanations import Explanations
from proxy.store.rollout.overrides import OverrideStore
from proxy.store.rollout.page_sessions import PageSessions
from proxy.store.rollout.processes import Processes
from proxy.store.rollout.resolutions import Resolutions
from proxy.store.rollout.series import Series
from proxy.store.sealing.keys import Keys
from proxy.store.sealing.sealer import Sealer, load_sealer
from proxy.store.sql.changes import Changes
from proxy.store.sql.database import Database
from proxy.store.sql.memory import Memory
from proxy.store.upkeep.blob_counter import BlobCounter
from proxy.store.upkeep.erasure import Erasure
from proxy.store.upkeep.probe import Probe, Space, database_size
from proxy.store.upkeep.retention import Retention
from proxy.store.upkeep.rotation import Rotation
from proxy.store.watched_database import DatabaseWatch, WatchedDatabase
from proxy.values import PendingCall

__all__ = ["BlobError", "JournalEntry", "Space", "Store", "StoreError", "StoreOptions", "open_store"]


@dataclass(frozen=True, slots=True)
class Store:
    """An open store with all its parts; made by `open_store`."""

    backend: Backend
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
    page_sessions: PageSessions
    homes: Homes
    evidence: Evidence
    explanations: Explanations
    ledger: Usage
    last_calls: LastCalls
    trail: TrailSearch
    callers: Callers
    stories: RequestTraces
    contract_runs: ContractRuns
    series: Series
    alerts: SentAlerts
    retention: Retention
    erasure: Erasure
    rotation: Rotation
    keys: Keys
    probe: Probe
    blob_counter: BlobCounter
    changes: Changes
    additions: Additions
    resolutions: Resolutions

    @property
    def database(self) -> Database:
        return self.backend.database

    @property
    def presence(self) -> Presence:
        return self.backend.presence

    def over(self, database: Database, blobs: Blobs) -> "Store":
        """Returns a store of the same parts over another database and other blobs, with this one's keys."""
        backend = replace(self.backend, database=database, jobs=OwnJobs(), locks=None)
        return _assemble(backend, self.sealer, self.changes.memory, blobs)

    async def pending(self) -> list[PendingCall]:
        """Returns the ambiguous calls that nobody has closed, oldest first: operators look at them."""
        calls = [
            PendingCall(each.id, each.kind, each.cause, each.created_at, each.case_id, each.origin)
            for each in await self.journal.pending()
        ]
        return sorted([*calls, *await self.links.ambiguous()], key=attrgetter("at"))

    async def unfinished(self) -> bool:
        """Returns whether a call of any process is unfinished, or a linked case is planned.

        Raises StoreError.
        """
        return await is_any_unfinished(self.database)

    async def check(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises StoreError when a write does not go through within 5 s; readiness asks (see `Probe`)."""
        await self.probe.check(monotonic)

    async def size(self) -> int:
        """Returns the bytes of the database. Raises StoreError."""
        return await self.database.read(database_size)

    async def space(self) -> Space | None:
        """Returns the room of the disk that has the least; None when the store is not on this machine.

        Raises StoreError when that can't be read.
        """
        return await self.probe.space()


@asynccontextmanager
async def open_store(
    options: StoreOptions, keys: Sequence[str], watch: DatabaseWatch | None = None, *, renews: bool = True
) -> AsyncIterator[Store]:
    """Opens the store, made if absent, and at the end finishes its writes and closes it.

    `keys` are those of MICHIQ_SECRET_KEYS, newest first; `watch` gets what uses of the database came to;
    `renews` is that of `load_sealer`. Raises StoreError when an address, a key or a file is not usable; its
    text is meant for the operator.
    """
    memory = Memory(time.monotonic)
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(open_blobs(options.blobs_url, _new_id, options.here))
        backend = await stack.enter_async_context(open_backend(options, memory, _new_id))
        sealer = await load_sealer(backend.database, keys, renews=renews)
        if watch is not None:
            backend = replace(backend, database=WatchedDatabase(backend.database, watch, time.monotonic))
        yield _assemble(backend, sealer, memory, blobs)


def _assemble(backend: Backend, sealer: Sealer, memory: Memory, blobs: Blobs) -> Store:
    database, presence = backend.database, backend.presence
    journal, owners = Journal(database, sealer, presence), Owners(database, sealer)
    transcriptions = Transcriptions(database, sealer)
    audit, ledger, reports = Audit(database, sealer), Usage(database, sealer), Reports(database, sealer)
    return Store(
        backend=backend,
        sealer=sealer,
        blobs=blobs,
        owners=owners,
        sessions=Sessions(database, sealer, memory),
        cases=Cases(database, sealer, memory),
        journal=journal,
        recordings=Recordings(database, sealer, _new_id),
        transcriptions=transcriptions,
        additions=Additions(database, transcriptions, reports, backend.folder is not None),
        links=Links(database, presence, _new_id),
        conversations=Conversations(database, sealer),
        reports=reports,
        deliveries=Deliveries(database, sealer, reports),
        audit=audit,
        overrides=OverrideStore(database, sealer, audit),
        processes=Processes(database),
        page_sessions=PageSessions(database, sealer),
        homes=Homes(database, sealer, memory),
        evidence=Evidence(database, ledger, audit),
        explanations=Explanations(database, audit),
        ledger=ledger,
        last_calls=LastCalls(database, sealer),
        trail=TrailSearch(database),
        callers=Callers(database, sealer),
        stories=RequestTraces(database),
        contract_runs=ContractRuns(database),
        series=Series(database),
        alerts=SentAlerts(database),
        retention=Retention(database, journal, blobs),
        erasure=Erasure(database, sealer, audit, blobs, owners),
        rotation=Rotation(database, sealer, presence),
        keys=Keys(database, sealer),
        blob_counter=BlobCounter(database, time.monotonic),
        probe=Probe(database, blobs, backend.folder),
        changes=Changes(database, memory, time.monotonic),
        resolutions=Resolutions(database, sealer, audit),
    )


def _new_id() -> str:
    return secrets.token_hex(16)
