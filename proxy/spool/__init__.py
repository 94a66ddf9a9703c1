"""Stores received bytes of unknown length: in memory while there is budget, else in a sealed unnamed file."""

import asyncio
import hashlib
import io
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Final, Protocol, TypeAlias

from proxy.spool.memory_budget import MemoryBudget
from proxy.spool.sealed import Key, SealedFile, new_key, opening, pieces, sealing
from proxy.values import Content

__all__ = [
    "HEAD",
    "HELD_LIMIT",
    "MEMORY_LIMIT",
    "PIECE",
    "Bytes",
    "Held",
    "Joined",
    "MemoryBudget",
    "SealedFile",
    "Spool",
    "Spooled",
    "Stored",
]

MEMORY_LIMIT: Final = 1024 * 1024
HELD_LIMIT: Final = 12 * 1024 * 1024  # with a budget; sealing more at once would block the loop
PIECE: Final = 256 * 1024  # a smaller piece costs more to pass on than to read
HEAD: Final = 4096  # enough for every signature; PDF's may be anywhere in 1024
_SMALL: Final = 16 * 1024  # a smaller piece, kept as it came, costs more memory than its bytes


class _Hash(Protocol):
    def update(self, data: bytes | bytearray, /) -> None: ...
    def hexdigest(self) -> str: ...


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


class Held:
    """Content in the memory of a shared budget, in the pieces it came in (see `values.Content`).

    An isolated process reads files only: `source` moves the content to one.
    """

    def __init__(self, held: list[bytes], size: int, sha256: str, budget: MemoryBudget, folder: Path) -> None:
        self._held: list[bytes] | None = held
        self._budget = budget
        self._folder = folder
        self._spooled: Spooled | None = None
        self.size: Final = size
        self.sha256: Final = sha256

    @property
    def head(self) -> bytes:
        """Returns the first 4 KiB."""
        return self._spooled.head if self._spooled else _head(self._pieces())

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the content in pieces of at most 256 KiB; every call starts from its beginning."""
        if self._spooled is not None:
            async for piece in self._spooled.chunks():
                yield piece
            return
        for piece in self._pieces():
            yield piece
            await asyncio.sleep(0)

    def read(self) -> bytes:
        """Returns the whole content at once."""
        return self._spooled.read() if self._spooled else b"".join(self._pieces())

    def source(self) -> SealedFile:
        """Returns what an isolated process needs: a file, which is made at the first call."""
        if self._spooled is None:
            file = _File(self._folder, self._pieces())
            self._spooled = file.finish(self.size, self.sha256)
            self._give_back()
        return self._spooled.source()

    def close(self) -> None:
        if self._spooled is not None:
            self._spooled.close()
        self._give_back()

    def _pieces(self) -> list[bytes]:
        if self._held is None:
            raise ValueError("read of a closed content")
        return self._held

    def _give_back(self) -> None:
        if self._held is not None:
            self._budget.give_back(self.size)
            self._held = None


Stored: TypeAlias = Bytes | Held | Spooled


class Spool:
    """Takes bytes as they arrive and counts them; `finish` returns the readable content.

    More than `memory` bytes, and up to 12 MiB, stay in memory while the `budget` that all spools share has
    space for them. Otherwise a temporary file in `folder` holds them. Raises OSError when the disk is full.
    `close` is for a spool that is given up, and closes the content as well.
    """

    def __init__(self, folder: Path, memory: int = MEMORY_LIMIT, budget: MemoryBudget | None = None) -> None:
        self._folder = folder
        self._limit = memory
        self._budget = budget
        self._taken = 0  # bytes of the budget that this spool occupies
        self._held: list[bytes] = []
        self._tail = bytearray()  # the last small pieces
        self._digest: _Hash | None = None  # of all bytes, once they are more than `memory`
        self._file: _File | None = None
        self._size = 0
        self._made: Stored | None = None

    @property
    def size(self) -> int:
        """Returns the number of bytes so far."""
        return self._size

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._begun_digest().update(data)
            if self._file is None and not self._fits_budget():
                self._move_to_file()
        if self._file is not None:
            self._file.write(data)
        elif len(data) < _SMALL:
            self._tail += data
            if len(self._tail) >= PIECE - _SMALL:
                self._end_tail()
        else:
            self._end_tail()
            self._held += _cut(data)

    def finish(self) -> Stored:
        """Returns the content for reading; the spool itself is done."""
        self._made = made = self._finished()
        return made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
        if self._file is not None:
            self._file.close()
        self._give_back()

    def _finished(self) -> Stored:
        if self._file is not None:
            return self._file.finish(self._size, self._begun_digest().hexdigest())
        self._end_tail()
        held, self._held = self._held, []
        if self._budget is None or not self._taken:
            return Bytes(b"".join(held))
        self._taken = 0  # from now on the content occupies the budget
        return Held(held, self._size, self._begun_digest().hexdigest(), self._budget, self._folder)

    def _begun_digest(self) -> "_Hash":
        if self._digest is None:
            self._digest = hashlib.sha256()
            for piece in self._held:
                self._digest.update(piece)
            self._digest.update(self._tail)
        return self._digest

    def _fits_budget(self) -> bool:
        """Returns whether the budget has space for all bytes so far; the spool occupies it then."""
        if self._budget is None or self._size > HELD_LIMIT or not self._budget.take(self._size - self._taken):
            return False
        self._taken = self._size
        return True

    def _end_tail(self) -> None:
        if self._tail:
            self._held.append(bytes(self._tail))
            self._tail = bytearray()

    def _move_to_file(self) -> None:
        self._end_tail()
        self._file = _File(self._folder, self._held)
        self._held = []
        self._give_back()

    def _give_back(self) -> None:
        if self._budget is not None:
            self._budget.give_back(self._taken)
            self._taken = 0


class _File:
    """A temporary file that is being written, with a key of its own."""

    def __init__(self, folder: Path, first: Iterable[bytes]) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `Spooled` closes it
        self._key = new_key()
        self._cipher = sealing(self._key)
        for piece in first:
            self.write(piece)

    def write(self, data: bytes) -> None:
        self._file.write(self._cipher.update(data))

    def finish(self, size: int, sha256: str) -> Spooled:
        self._file.flush()
        return Spooled(self._file, self._key, size, sha256)

    def close(self) -> None:
        self._file.close()


def _head(held: list[bytes]) -> bytes:
    """Returns the first 4 KiB; of the first two pieces one is larger, or there are no others."""
    return b"".join(held[:2])[:HEAD]


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))
