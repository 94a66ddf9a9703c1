"""Stores received bytes of unknown length: in memory while small, else in an encrypted unnamed file."""

import asyncio
import hashlib
import io
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Final, TypeAlias

from proxy.spool.sealed import Key, SealedFile, new_key, opening, pieces, sealing
from proxy.values import Content

__all__ = ["HEAD", "MEMORY_LIMIT", "PIECE", "Bytes", "Joined", "SealedFile", "Spool", "Spooled", "Stored"]

MEMORY_LIMIT: Final = 1024 * 1024
PIECE: Final = 256 * 1024  # a smaller piece costs more to pass on than to read
HEAD: Final = 4096  # enough for every signature; PDF's may be anywhere in 1024


class Bytes:
    """Content in memory (see `values.Content`)."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        return len(self._content)

    @property
    def head(self) -> bytes:
        """Returns the first 4 KiB."""
        return self._content[:HEAD]

    @cached_property
    def sha256(self) -> str:
        """Returns the digest in lower-case hex."""
        return hashlib.sha256(self._content).hexdigest()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the content in pieces of at most 256 KiB; every call starts from its beginning."""
        for start in range(0, len(self._content), PIECE):
            if start:
                await asyncio.sleep(0)
            yield self._content[start : start + PIECE]

    def read(self) -> bytes:
        return self._content

    def source(self) -> bytes | SealedFile:
        """Returns what an isolated process needs to read the content: here, the bytes themselves."""
        return self._content

    def close(self) -> None:
        """Does nothing: no file is open."""


class Joined:
    """Several contents, read as one (see `values.Content`)."""

    def __init__(self, pieces: Sequence[Content]) -> None:
        self._pieces = pieces
        self.size: Final = sum(piece.size for piece in pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            async for chunk in piece.chunks():
                yield chunk


class Spooled:
    """Content in a temporary file without a name, gone when it is closed or the process ends."""

    def __init__(self, file: IO[bytes], key: Key, size: int, sha256: str) -> None:
        self._file = file
        self._key = key
        self.size: Final = size
        self.sha256: Final = sha256

    @property
    def head(self) -> bytes:
        """Returns the first 4 KiB."""
        return opening(self._key, 0).update(os.pread(self._file.fileno(), HEAD, 0))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the content in pieces of at most 256 KiB; every call starts from its beginning."""
        # A piece comes from the page cache: a thread would cost more, and could read a descriptor that was
        # closed meanwhile.
        for piece in pieces(self._file, self._key, self.size, PIECE):
            yield piece
            await asyncio.sleep(0)

    def read(self) -> bytes:
        """Returns the whole content at once; blocks, so it is for a thread or a small content."""
        whole = io.BytesIO()
        whole.writelines(pieces(self._file, self._key, self.size, PIECE))
        return whole.getvalue()

    def source(self) -> SealedFile:
        """Returns what an isolated process needs: the file, which is passed as a descriptor, and its key."""
        return SealedFile(self._file, self._key)

    def close(self) -> None:
        self._file.close()


Stored: TypeAlias = Bytes | Spooled


class Spool:
    """Takes bytes as they arrive and counts them; `finish` returns the readable content.

    After more than `memory` bytes, a temporary file in `folder` holds them. Raises OSError when the disk
    is full.
    `close` is for a spool that is given up before `finish`.
    """

    def __init__(self, folder: Path, memory: int = MEMORY_LIMIT) -> None:
        self._folder = folder
        self._limit = memory
        self._memory = bytearray()
        self._file: _File | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """Returns the number of bytes so far."""
        return self._size

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._file is None and self._size > self._limit:
            self._file = _File(self._folder)
            self._file.write(self._memory)
            self._memory = bytearray()
        if self._file is None:
            self._memory += data
        else:
            self._file.write(data)

    def finish(self) -> Stored:
        """Returns the content for reading; the spool itself is done."""
        if self._file is None:
            return Bytes(bytes(self._memory))
        return self._file.finish(self._size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _File:
    """A temporary file that is being written, with a key of its own."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `Spooled` closes it
        self._key = new_key()
        self._cipher = sealing(self._key)
        self._digest = hashlib.sha256()

    def write(self, data: bytes | bytearray) -> None:
        self._digest.update(data)
        self._file.write(self._cipher.update(data))

    def finish(self, size: int) -> Spooled:
        self._file.flush()
        return Spooled(self._file, self._key, size, self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()
