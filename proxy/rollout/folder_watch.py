"""Detects changes of a folder by a check each second.

The kernel's notifications (inotify) come at once, but they watch an inode. They miss a folder that is
replaced or renamed, a changed symlink, a file that is a link to another folder, and network file systems.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

_LOOK_SECONDS: Final = 1.0  # a check takes 0.25 ms; an idle process uses 2 ms/s
_CALM_SECONDS: Final = 0.1

File: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FolderState:
    """The state of a folder at one check: its identity and its files."""

    device: int
    inode: int
    files: tuple[File, ...]


def look(folder: Path) -> FolderState | None:
    """Returns the folder's state now, through links; None when the path has no readable folder."""
    try:
        with os.scandir(folder) as entries:
            files = sorted(_file(entry) for entry in entries if not entry.name.startswith("."))
        found = folder.stat()
    except OSError:
        return None
    return FolderState(found.st_dev, found.st_ino, tuple(files))


def _file(entry: "os.DirEntry[str]") -> File:
    try:
        found = entry.stat()
    except OSError:  # a link to nothing
        return entry.name, 0, 0, 0, 0
    return entry.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


async def changes(folder: Path) -> AsyncIterator[FolderState | None]:
    """Yields a folder's state at first and after each change, for ever; None while there is no folder.

    A state is yielded only once two checks agree, because somebody may still be writing.
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


async def _later(folder: Path, seconds: float) -> FolderState | None:
    await asyncio.sleep(seconds)
    return await asyncio.to_thread(look, folder)
