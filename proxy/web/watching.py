"""Tells of changes in a folder, by a look each second.

The kernel's own word would come at once, but it watches an inode: of a folder that is replaced or renamed, a
symlink that is turned, a file that is itself a link to elsewhere, a network's file system it says nothing.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

_LOOK_SECONDS: Final = 1.0  # a look takes a quarter of a millisecond, of 2 ms/s that a process has at rest
_CALM_SECONDS: Final = 0.1

File: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder as it was at one look: which one it is, and its files."""

    device: int
    inode: int
    files: tuple[File, ...]


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
    """Yields what a folder is at first and after each change, for ever; None while there is none to watch.

    While it changes from look to look nothing is told of it: somebody is writing.
    """
    seen = await asyncio.to_thread(look, folder)
    yield seen
    while True:
        found = await _later(folder, _LOOK_SECONDS)
        if found == seen:
            continue
        while (again := await _later(folder, _CALM_SECONDS)) != found:
            found = again
        seen = found
        yield seen


async def _later(folder: Path, seconds: float) -> Seen | None:
    await asyncio.sleep(seconds)
    return await asyncio.to_thread(look, folder)
