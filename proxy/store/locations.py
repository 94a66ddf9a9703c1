"""Reads MICHIQ_DATABASE_URL and MICHIQ_BLOBS_URL into paths, and makes the private folders."""

import os
import tempfile
from pathlib import Path
from typing import Final

from proxy.store.errors import StoreError

_DATABASE: Final = "sqlite:///"
_BLOBS: Final = "file:"
_ROOM: Final = bytes(256 * 1024)  # a small case; a smaller write may still fit into SQLite's log


def database_path(url: str) -> Path:
    """Returns the file of `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises StoreError for any other address.
    """
    path = url.removeprefix(_DATABASE)
    if path in {url, "", ":memory:"} or "?" in path:
        raise StoreError(_refusal("MICHIQ_DATABASE_URL", "sqlite:///var/michiq.db"))
    return Path(path)


def blobs_folder(url: str) -> Path:
    """Returns the folder of `file:relative` or `file:/absolute`. Raises StoreError for any other address."""
    path = url.removeprefix(_BLOBS)
    if path in {url, "", "//"}:
        raise StoreError(_refusal("MICHIQ_BLOBS_URL", "file:var/blobs"))
    return Path(path.removeprefix("//"))


def make_private(folder: Path) -> None:
    """Makes the folder and its missing parents, for this user only; one that exists is left as it is."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
        sync_folder(missing.parent)


def try_room(folder: Path) -> None:
    """Writes a file of 256 KiB to the folder's disk and removes it. Raises the system's OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(_ROOM)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Puts the folder's list of names on disk: without it, a new file may be gone after a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(setting: str, example: str) -> str:
    # The address itself is left out: it may hold a password.
    return f"{setting}: no store has such an address; give one like {example}"
