"""The configuration in force: one snapshot, replaced as a whole when mappings or overrides change."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from proxy.flows.registry import SPECS
from proxy.mapping.loader import MappingError, load_table
from proxy.mapping.table import Table
from proxy.modes import Overrides
from proxy.rollout.snapshot import Snapshot

_log: Final = structlog.get_logger("proxy.live")


@dataclass(slots=True)
class Live:
    """The configuration in force.

    `rejected` are the complaints about files in the folder that are not in force. `watched` is true while
    there is a folder whose changes are followed. `read_at` is the time of the last reading without a fault.
    """

    now: Snapshot
    digest: str = ""
    rejected: Sequence[str] = ()
    watched: bool = False
    read_at: datetime | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, overrides: Overrides) -> None:
        """Puts newer overrides into force; older ones that come late are ignored."""
        if overrides.revision > self.now.overrides.revision:
            self.now = replace(self.now, overrides=overrides)
            self.changed.set()
            _log.info("overrides_in_force", revision=overrides.revision)

    def serve(self, table: Table, digest: str) -> None:
        self.now = replace(self.now, table=table)
        self.digest, self.rejected = digest, ()
        self.changed.set()
        _log.info("mappings_in_force", digest=digest)

    def watch(self, *, there: bool) -> None:
        if there != self.watched:
            self.watched = there
            if there:
                _log.info("mappings_watched")
            else:
                _log.error("mappings_not_watched")

    def reject(self, complaints: Sequence[str]) -> None:
        """Notes why new files are rejected; the old table stays in force."""
        self.rejected = tuple(complaints)
        self.changed.set()
        _log.error("mappings_rejected", complaints=len(complaints))


async def reload(live: Live, folder: Path, *, has_legacy: bool) -> None:
    """Puts the folder's files into force, all or none of them."""
    try:
        digest, table = await asyncio.to_thread(_read, folder, has_legacy=has_legacy)
    except MappingError as error:
        live.reject([str(complaint) for complaint in error.complaints])
        return
    except OSError as error:  # a file is being replaced, or the folder is gone
        live.reject([f"{folder.name} can't be read, so its changes are not followed: {error.strerror}"])
        return
    moved = _moved(live.now.table, table)
    if moved:
        live.reject(moved)
    elif digest != live.digest or live.rejected:
        live.serve(table, digest)


def mappings_digest(folder: Path) -> str:
    """Returns a digest of the folder's files, including those with secrets."""
    whole = sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            whole.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:12]


def _read(folder: Path, *, has_legacy: bool) -> tuple[str, Table]:
    return mappings_digest(folder), load_table(folder, SPECS, has_legacy=has_legacy)


def _moved(old: Table, new: Table) -> list[str]:
    """Returns a complaint for each changed path or method: the router has its paths since the start."""
    return [
        f"{name}.toml: path and method change at a restart only; they were {was.method} {was.path}"
        for name, was in ((name, route.mapping) for name, route in old.routes.items())
        if (new.routes[name].mapping.method, new.routes[name].mapping.path) != (was.method, was.path)
    ]
