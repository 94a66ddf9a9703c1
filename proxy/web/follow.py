"""Keeps the process at what the store and the mapping folder say, and tells the store how far it is."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from proxy.flows.deps import Deps
from proxy.store import StoreError
from proxy.store.memory import ALL
from proxy.web.live import Live, reload
from proxy.web.watching import changes

# An override is in force in every process within 2 s (issue 4): a look each half second, and its load.
_LOOK_SECONDS: Final = 0.5
# A process that was not heard of for 10 s counts as gone (`mode --wait`).
_HEARTBEAT_SECONDS: Final = 3.0

_log: Final = structlog.get_logger("proxy.follow")


class Follower:
    """Looks after one process's `Live`; `folder` is None where no files are watched."""

    def __init__(self, live: Live, deps: Deps, folder: Path | None) -> None:
        self._live = live
        self._deps = deps
        self._folder = folder
        self._id = str(UUID(deps.store.presence.name))  # tells others whether this process has died
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._started_at = deps.clock()
        self._wake = asyncio.Event()
        self._reading = asyncio.Lock()

    def look(self) -> None:
        """Looks at the store at once."""
        self._wake.set()

    async def catch_up(self) -> None:
        """The newest overrides are in force on return; StoreError as the store's."""
        store = self._deps.store
        if subjects := await store.changes.follow():
            self._live.changed.set()
            if ALL in subjects:
                self._deps.readings.forget()
                self._deps.confirmed_callers.forget_all()
        if await store.overrides.revision() != self._live.now.overrides.revision:
            self._live.follow(await store.overrides.load())

    async def reload(self) -> None:
        """The folder's files are in force on return, or rejected with their reasons."""
        if self._folder is None:
            return
        # One after the other: of two readings at once the older one could win.
        async with self._reading:
            await reload(self._live, self._folder, has_legacy=self._deps.michiq is not None)

    def reload_soon(self) -> None:
        """For a signal."""
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
            started_at=self._started_at,
            at=self._deps.clock(),
        )

    async def begin(self) -> None:
        """Is where the store is, and says so, before the first request."""
        await self.catch_up()
        self._live.changed.clear()
        await self.report()

    async def leave(self) -> None:
        await self._deps.store.processes.leave(self._id)

    async def keep_up(self) -> None:
        """Looks at the store for ever; what is in force stays so while the store can't be read."""
        loop = asyncio.get_running_loop()
        heard = 0.0
        while True:
            try:
                await self.catch_up()
                if self._live.changed.is_set() or loop.time() - heard >= _HEARTBEAT_SECONDS:
                    self._live.changed.clear()
                    await self.report()
                    await self._deps.store.keys.refuse_fernet()
                    heard = loop.time()
            except StoreError:
                _log.exception("store_not_followed")
            await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._wake.wait()
        self._wake.clear()

    async def watch(self) -> None:
        """Reloads when a file of the folder changes, or another folder takes its place."""
        if self._folder is None:
            return
        async for seen in changes(self._folder):
            self._live.watch(there=seen is not None)
            await self.reload()


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[None]:
    """The process follows while the block runs, and is no process to wait for afterwards."""
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
