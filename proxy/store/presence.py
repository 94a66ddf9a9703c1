"""Shows which processes use this store: beside SQLite, each holds a file's lock, which ends with it."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection

from proxy.store.errors import StoreError
from proxy.store.locations import make_private

# The process's file names the format in which it seals. Earlier releases wrote nothing into the file.
_FORMAT: Final = b"sealed values 1\n"


class Presence(Protocol):
    """The presence of this process, by a name of its own."""

    @property
    def name(self) -> str: ...

    def lives(self, conn: Connection, name: str | None) -> bool:
        """Returns, within a unit of work, whether the process of this name lives.

        If not, another process takes over its open work: a dead one never lives again under its name. None,
        the name in rows of a release without names, is dead.
        """
        ...

    def others(self, conn: Connection) -> Sequence[str]:
        """Returns, within a unit of work, the names of the other processes that live."""
        ...

    def others_format(self, conn: Connection) -> bool:
        """Returns whether a process lives that seals in another format, as those of earlier releases do."""
        ...


@dataclass(frozen=True, slots=True)
class FilePresence:
    """The presence of a process by a locked file (`Presence`). Its methods block for microseconds."""

    folder: Path
    name: str

    def lives(self, _conn: Connection | None, name: str | None) -> bool:
        """Returns whether the process of this name lives."""
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

    def others(self, _conn: Connection | None = None) -> Sequence[str]:
        """Returns the names of the other processes that live."""
        names = [path.name for path in _files(self.folder)]
        return [name for name in names if name != self.name and self.lives(None, name)]

    def others_format(self, _conn: Connection | None = None) -> bool:
        """Returns whether a process lives that seals in another format, as those of earlier releases do."""
        return any(self.lives(None, path.name) and _format(path) != _FORMAT for path in _files(self.folder))

    def refuse_others_format(self) -> None:
        """Raises StoreError while such a process lives."""
        if self.others_format():
            raise StoreError(
                "MICHIQ_DATABASE_URL: a process of another release works on this store, and could not read "
                "what this one seals; nothing was changed. End every process of that release, copy the "
                "store's folders, then start this one"
            )


@contextmanager
def present(folder: Path, name: str) -> Iterator[FilePresence]:
    """Makes the process present while the block runs; its presence ends with the process at the latest."""
    make_private(folder)
    presence = FilePresence(folder, name)
    for path in _files(folder):
        presence.lives(None, path.name)  # removes the file of one that died
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
