"""Follows the store's overrides and the mapping folder, and reports this process's state to the store."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from proxy.flows.deps import Deps
from proxy.rollout.folder_watch import changes
from proxy.rollout.live import Live, reload
from proxy.store import StoreError
from proxy.store.sql.memory import ALL
from proxy.values import Json

# An override is in force in every process within 2 s (issue 4): half a second to notice, the rest to load it.
_LOOK_SECONDS: Final = 0.5
# A process without a report for 10 s counts as gone (`mode --wait`).
_HEARTBEAT_SECONDS: Final = 3.0

_log: Final = structlog.get_logger("proxy.follow")


class ConfigWatcher:
    """A watcher that keeps one process's `Live` up to date; `folder` None watches no files."""

    def __init__(self, live: Live, deps: Deps, folder: Path | None) -> None:
        self._live = live
        self._deps = deps
        self._folder = folder
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._started_at = live.read_at = deps.effects.clock()
        self._wake = asyncio.Event()
        deps.store.backend.when_overridden(self._wake.set)
        self._reading = asyncio.Lock()
        self._about: Callable[[], Mapping[str, Json]] = dict

    @property
    def _id(self) -> str:
        """Returns the id by which other processes notice that this one has died."""
        return str(UUID(self._deps.store.presence.name))

    def describe(self, about: Callable[[], Mapping[str, Json]]) -> None:
        """Sets what the next heartbeats say of this process."""
        self._about = about
        self._live.changed.set()

    def look(self) -> None:
        """Makes the watcher check the store at once."""
        self._wake.set()

    async def catch_up(self) -> None:
        """Puts the newest overrides into force. Raises StoreError."""
        store = self._deps.store
        followed = await store.changes.follow()
        if followed.subjects:
            self._live.changed.set()
            if ALL in followed.subjects:
                self._deps.readings.forget()
                self._deps.confirmed_callers.forget_all()
        if followed.overrides != self._live.now.overrides.revision:
            self._live.follow(await store.overrides.load())

    async def reload(self) -> None:
        """Puts the folder's files into force, or rejects them with the reasons."""
        if self._folder is None:
            return
        # One after another: of two reads at once, the older one could win.
        async with self._reading:
            await reload(self._live, self._folder, has_legacy=self._deps.upstreams.michiq is not None)
            if not self._live.rejected:
                self._live.read_at = self._deps.effects.clock()

    def reload_soon(self) -> None:
        """Starts `reload` as a task, for a signal handler."""
        self._deps.tasks.start("reload-mappings", self.reload())

    async def report(self) -> None:
        await self._deps.store.processes.report(
            self._id,
            self._name,
            revision=self._live.now.overrides.revision,
            mappings_digest=self._live.digest,
            rejected=list(self._live.rejected),
            keys=self._deps.store.sealer.fingerprints,
            changes=self._deps.store.changes.revision,
            about=self._about(),
            started_at=self._started_at,
            at=self._deps.effects.clock(),
        )

    async def begin(self) -> None:
        """Catches up with the store, and reports this process to it, before the first request."""
        await self.catch_up()
        self._live.changed.clear()
        await self.report()

    async def leave(self) -> None:
        await self._deps.store.processes.leave(self._id)

    async def keep_up(self) -> None:
        """Checks the store for ever; while it can't be read, the current overrides stay in force."""
        loop = asyncio.get_running_loop()
        reported_at = 0.0
        while True:
            try:
                await self.catch_up()
                if self._live.changed.is_set() or loop.time() - reported_at >= _HEARTBEAT_SECONDS:
                    self._live.changed.clear()
                    await self.report()
                    await self._deps.store.keys.refuse_fernet()
                    reported_at = loop.time()
            except StoreError:
                _log.exception("store_not_followed")
            await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._wake.wait()
        self._wake.clear()

    async def watch(self) -> None:
        """Reloads when a file of the folder changes, or when another folder replaces it."""
        if self._folder is None:
            return
        async for seen in changes(self._folder):
            self._live.watch(there=seen is not None)
            await self.reload()


@asynccontextmanager
async def following(follower: ConfigWatcher) -> AsyncIterator[None]:
    """Follows the store and the folder while the block runs; `mode --wait` ignores the process afterwards."""
    await follower.begin()
    tasks = [
        asyncio.create_task(follower.keep_up(), name="follow-store"),
        asyncio.create_task(follower.watch(), name="watch-mappings"),
    ]
    for task in tasks:
        task.add_done_callback(_report_end)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        try:
            await follower.leave()
        except StoreError:
            _log.exception("leave_failed")


def _report_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("follower_ended", task=task.get_name(), exc_info=error)
