"""Which processes work on this store: each holds the lock of a file, which the system frees when it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.store.locations import make_private


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


@contextmanager
def present(folder: Path, name: str) -> Iterator[Presence]:
    """The process is present while the block runs, and however else it ends."""
    make_private(folder)
    presence = Presence(folder, name)
    for path in folder.glob("[0-9a-f]*"):
        presence.lives(path.name)  # removes the file of one that died
    beginning = folder / f".{name}"
    with beginning.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        beginning.rename(folder / name)  # nobody finds it without its lock
        try:
            yield presence
        finally:
            (folder / name).unlink(missing_ok=True)
