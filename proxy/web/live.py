"""What the process serves by: one snapshot, replaced whole when the mappings or the overrides change."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from proxy.dispatch.snapshot import Snapshot
from proxy.mapping.loader import MappingError, load_table
from proxy.mapping.table import Table
from proxy.overrides import Overrides
from proxy.web.flows import SPECS

_log: Final = structlog.get_logger("proxy.live")


@dataclass(slots=True)
class Live:
    """`rejected` are the complaints about the files that lie in the folder and are not served.

    `watched` says whether a folder is there whose changes are followed.
    """

    now: Snapshot
    digest: str = ""
    rejected: Sequence[str] = ()
    watched: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, overrides: Overrides) -> None:
        """A newer state of the overrides; an older one that comes late changes nothing."""
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
        """The old table stays in force; the new files are told of with their reasons."""
        self.rejected = tuple(complaints)
        self.changed.set()
        _log.error("mappings_rejected", complaints=len(complaints))


async def reload(live: Live, folder: Path, *, has_legacy: bool) -> None:
    """Takes the folder's files into force, all or none of them."""
    try:
        digest, table = await asyncio.to_thread(_read, folder, has_legacy=has_legacy)
    except MappingError as error:
        live.reject([str(complaint) for complaint in error.complaints])
        return
    except OSError as error:  # a file that is being replaced, a folder that is gone
        live.reject([f"{folder.name} can't be read, and no change of it is followed: {error.strerror}"])
        return
    moved = _moved(live.now.table, table)
    if moved:
        live.reject(moved)
    elif digest != live.digest or live.rejected:
        live.serve(table, digest)


def mappings_digest(folder: Path) -> str:
    """What tells one state of the folder from another, secrets' files included."""
    whole = sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            whole.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:12]


def _read(folder: Path, *, has_legacy: bool) -> tuple[str, Table]:
    return mappings_digest(folder), load_table(folder, SPECS, has_legacy=has_legacy)


def _moved(old: Table, new: Table) -> list[str]:
    """Routes that can't be served as they are now written: the router has its paths since the start."""
    return [
        f"{name}.toml: path and method change at a restart only; they were {was.method} {was.path}"
        for name, was in ((name, route.mapping) for name, route in old.routes.items())
        if (new.routes[name].mapping.method, new.routes[name].mapping.path) != (was.method, was.path)
    ]
