"""Gathers what an operator wants to know of the processes, the store and the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from proxy.flows.deps import Deps
from proxy.postgresql_url import is_postgresql
from proxy.rollout.live import Live
from proxy.rollout.operations.shown_settings import ShownSetting, shown_settings
from proxy.server.serving import Serving
from proxy.settings import Settings
from proxy.store import Space
from proxy.store.rollout.processes import Process
from proxy.store.upkeep.probe import BlobTotals


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store: sizes in bytes; `space` is the room of the fuller disk, None on other machines' disks."""

    kind: Literal["sqlite", "postgresql"]
    size: int
    space: Space | None
    blobs: BlobTotals
    blobs_kind: Literal["folder", "s3"]
    waiting: int  # webhooks for the operator's own consumer


@dataclass(frozen=True, slots=True)
class System:
    """The whole: `revision` is the store's newest; `keys` are fingerprints of this process's, newest first.

    `keys_missing` says whether the store has values under a key that this process lacks. `held` is the reason
    why the retention is on hold. `ready` of the `workers` that are wanted serve on this machine.
    """

    at: datetime
    revision: int
    digest: str
    rejected: Sequence[str]
    watched: bool
    read_at: datetime | None
    processes: Sequence[Process]
    keys: Sequence[str]
    keys_missing: bool
    store: StoreFacts
    certificate_end: datetime | None
    held: str | None
    ready: int
    workers: int
    settings: Sequence[ShownSetting]


async def system_of(
    deps: Deps, live: Live, serving: Serving, settings: Settings, certificate_end: datetime | None
) -> System:
    """Gathers it. Raises StoreError."""
    store, now = deps.store, deps.effects.clock()
    return System(
        at=now,
        revision=await store.overrides.revision(),
        digest=live.digest,
        rejected=live.rejected,
        watched=live.watched,
        read_at=live.read_at,
        processes=await store.processes.live(now),
        keys=store.sealer.fingerprints,
        keys_missing=await store.keys.missing(),
        store=StoreFacts(
            kind="postgresql" if is_postgresql(settings.database_url.get_secret_value()) else "sqlite",
            size=await store.size(),
            space=await store.space(),
            blobs=await store.blob_totals(),
            blobs_kind="folder" if settings.blobs_url.startswith("file:") else "s3",
            waiting=await store.deliveries.waiting(),
        ),
        certificate_end=certificate_end,
        held=serving.held,
        ready=serving.ready,
        workers=serving.workers,
        settings=shown_settings(settings),
    )
