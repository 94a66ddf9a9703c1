"""Holds sealed frames until they are sent: in memory, while all writers' shared room lasts, else on disk."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

from proxy.spool import MemoryBudget
from proxy.store.blobs.frames import SEALED
from proxy.store.errors import BlobError, cause_of

_READ: Final = 4 * SEALED


class Part:
    """The body of one request (`s3_calls.Body`); it can be read again for each try. Close it.

    A client may send its upload as slowly as it likes, and many may do so. So the memory of all parts
    together is bounded; what finds no room goes into a file without a name, encrypted as it is.
    """

    def __init__(self, room: MemoryBudget, folder: Path) -> None:
        self._room = room
        self._folder = folder
        self._frames: list[bytes] = []
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self.size = 0
        self.frames = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def add(self, frame: bytes) -> None:
        """Appends a frame. Raises BlobError when the temporary folder takes no more."""
        self._digest.update(frame)
        if self._file is None and self._room.take(len(frame)):
            self._frames.append(frame)
            self._in_memory += len(frame)
        else:
            await self._write(frame)
        self.frames += 1
        self.size += len(frame)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for frame in self._frames:
            yield frame
        for start in range(0, self.size - self._in_memory, _READ):
            yield await asyncio.to_thread(self._read, start)

    def close(self) -> None:
        self._frames.clear()
        self._room.give_back(self._in_memory)
        self._in_memory = 0
        if self._file is not None:
            self._file.close()

    async def _write(self, frame: bytes) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` closes it
            await asyncio.to_thread(_append, self._file, frame)
        except OSError as error:
            failure = unwritable(error)
        else:
            return
        raise failure

    def _read(self, start: int) -> bytes:
        assert self._file is not None
        return os.pread(self._file.fileno(), _READ, start)


def unwritable(error: OSError) -> BlobError:
    """Returns the error of a temporary folder that can't be written to."""
    return BlobError(f"TMPDIR: the temporary folder can't be written to ({error.strerror})", cause_of(error))


def _append(file: IO[bytes], frame: bytes) -> None:
    file.write(frame)
    file.flush()
