"""Gathers what an operator wants to know of the processes, the store and the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from proxy.flows.deps import Deps
from proxy.postgresql_url import is_postgresql
from proxy.rollout.config_watcher import ConfigWatcher
from proxy.rollout.live import Live
from proxy.rollout.operations.shown_settings import ShownSetting, shown_settings
from proxy.server.serving import Serving
from proxy.settings import Settings
from proxy.store import Space
from proxy.store.rollout.processes import Process
from proxy.store.upkeep.blob_counter import BlobTotals
from proxy.values import Json


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store: sizes in bytes; `space` is the room of the fuller disk, None on other machines' disks."""

    kind: Literal["sqlite", "postgresql"]
    size: int
    space: Space | None
    blobs: BlobTotals | None  # None until they are counted
    blobs_kind: Literal["folder", "s3"]
    waiting: int  # webhooks for the operator's own consumer


@dataclass(frozen=True, slots=True)
class About:
    """The facts of a process by its heartbeat; one of another release may lack some.

    `memory` is in bytes, `open_breakers` has the states of those that are not closed.
    """

    worker: str | None
    version: str | None
    memory: int | None
    connections: int | None
    waiting: int | None
    open_breakers: Mapping[str, str]


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

    def is_behind(self, process: Process) -> bool:
        """Returns whether a process does not follow the newest revision yet."""
        return process.revision < self.revision

    def differs(self, process: Process) -> bool:
        """Returns whether a process serves other mapping files than this one."""
        return process.mappings != self.digest

    def lacks_key(self, process: Process) -> bool:
        """Returns whether a process can't read what this one writes."""
        return bool(process.keys) and self.keys[0] not in process.keys

    def about(self, process: Process) -> About:
        said = process.about or {}
        connections, breakers = said.get("connections"), said.get("breakers")
        states = breakers if isinstance(breakers, dict) else {}
        return About(
            worker=_text(said.get("worker")),
            version=_text(said.get("version")),
            memory=_whole(said.get("memory")),
            connections=_whole(connections.get("clients")) if isinstance(connections, dict) else None,
            waiting=_whole(said.get("shadow_queue")),
            open_breakers={name: str(state) for name, state in states.items() if state != "closed"},
        )

    def age(self, process: Process) -> timedelta:
        return max(timedelta(), self.at - process.started_at)


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
            blobs=await store.blob_counter.totals(),
            blobs_kind="folder" if settings.blobs_url.startswith("file:") else "s3",
            waiting=await store.deliveries.waiting(),
        ),
        certificate_end=certificate_end,
        held=serving.held,
        ready=serving.ready,
        workers=serving.workers,
        settings=shown_settings(settings),
    )


async def reload_mappings(follower: ConfigWatcher, serving: Serving) -> None:
    """Puts the folder's files into force, all or none of them, here at once and in the other workers soon."""
    await follower.reload()
    serving.siblings.reload()


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) else None
