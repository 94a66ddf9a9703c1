"""Tells of changes in a folder: by the kernel's word at once, and by a look every two seconds.

The kernel watches an inode. A folder that is replaced or renamed, a symlink that is turned, a file that is
itself a link to elsewhere, a network's file system: of all these it says nothing.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from watchfiles import awatch

_LOOK_SECONDS: Final = 2.0

File: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder as it was at one look: which one it is, and its files."""

    device: int
    inode: int
    files: tuple[File, ...]

    def is_same_folder(self, other: "Seen | None") -> bool:
        return other is not None and (self.device, self.inode) == (other.device, other.inode)


def look(folder: Path) -> Seen | None:
    """Returns what lies at a path now, links followed; None where no folder can be read there."""
    try:
        with os.scandir(folder) as entries:
            files = sorted(_file(entry) for entry in entries if not entry.name.startswith("."))
        found = folder.stat()
    except OSError:
        return None
    return Seen(found.st_dev, found.st_ino, tuple(files))


def _file(entry: "os.DirEntry[str]") -> File:
    try:
        found = entry.stat()
    except OSError:  # a link to nothing
        return entry.name, 0, 0, 0, 0
    return entry.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


async def changes(folder: Path) -> AsyncIterator[Seen | None]:
    """Yields what a folder is at first and after each change, for ever; None while there is none to watch."""
    seen: Seen | None = await asyncio.to_thread(look, folder)
    yield seen
    while True:
        async for found in _looks(folder):
            same = seen is not None and seen.is_same_folder(found)
            if found != seen:
                seen = found
                yield seen
            if not same:
                break


async def _looks(folder: Path) -> AsyncIterator[Seen | None]:
    """Looks at the kernel's word and every two seconds."""
    try:
        told = awatch(folder, recursive=False, rust_timeout=int(_LOOK_SECONDS * 1000), yield_on_timeout=True)
        async for _ in told:
            yield await asyncio.to_thread(look, folder)
    except (OSError, RuntimeError):  # it is gone, or the kernel has no watch left for it
        await asyncio.sleep(_LOOK_SECONDS)
        yield await asyncio.to_thread(look, folder)
