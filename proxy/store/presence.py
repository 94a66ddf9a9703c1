"""Shows which processes use this store: each holds a file's lock, which the system frees when it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.store.errors import StoreError
from proxy.store.locations import make_private

# The process's file names the format in which it seals. Earlier releases wrote nothing into the file.
_FORMAT: Final = b"sealed values 1\n"


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence of this process, by a name of its own. Its methods block for microseconds."""

    folder: Path
    name: str

    def lives(self, name: str | None) -> bool:
        """Returns whether the process of this name lives; if not, another one takes over its open work.

        None, the name in rows of a release without names, is dead.
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
        """Returns whether a process lives that seals in another format, as those of earlier releases do."""
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
    """Makes the process present while the block runs; its presence ends with the process at the latest."""
    make_private(folder)
    presence = Presence(folder, name)
    for path in _files(folder):
        presence.lives(path.name)  # removes the file of one that died
    beginning = folder / f".{name}"
    with beginning.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(_FORMAT)
        file.flush()
        beginning.rename(folder / name)  # only now: nobody finds it without its lock and its format
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
