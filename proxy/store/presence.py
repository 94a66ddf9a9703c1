"""Which processes work on this store: each holds the lock of a file, which the system frees when it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.store.errors import StoreError
from proxy.store.locations import make_private

# How the process seals what it stores, as its file says. Earlier releases wrote nothing there.
_FORMAT: Final = b"sealed values 1\n"


@dataclass(frozen=True, slots=True)
class Presence:
    """This process, by a name that no other has, and what it can tell of others. Blocks for microseconds."""

    folder: Path
    name: str

    def lives(self, name: str | None) -> bool:
        """Whether the process of this name is there still; what it left behind is somebody's else then.

        None, of a release that kept no names, is gone.
        """
        if name is None:
            return False
        path = self.folder / name
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        path.unlink(missing_ok=True)
        return False

    def others_format(self) -> bool:
        """Tells whether a process lives that seals in another format, as those of earlier releases do."""
        return any(self.lives(path.name) and _format(path) != _FORMAT for path in _files(self.folder))

    def refuse_others_format(self) -> None:
        """Raises StoreError while such a process lives."""
        if self.others_format():
            raise StoreError(
                "MICHIQ_DATABASE_URL: a process of another release works on this store, and could not read "
                "what this one seals; nothing was changed. End every process of that release, copy the "
                "store's folders, then start this one"
            )


@contextmanager
def present(folder: Path, name: str) -> Iterator[Presence]:
    """The process is present while the block runs, and however else it ends."""
    make_private(folder)
    presence = Presence(folder, name)
    for path in _files(folder):
        presence.lives(path.name)  # removes the file of one that died
    beginning = folder / f".{name}"
    with beginning.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(_FORMAT)
        file.flush()
        beginning.rename(folder / name)  # nobody finds it without its lock, or its format
        try:
            yield presence
        finally:
            (folder / name).unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return [*folder.glob("[0-9a-f]*")]


def _format(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # it has ended since
        return _FORMAT
