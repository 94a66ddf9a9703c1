"""The protocols of a blob store, and of a blob that is being written (CONTRACT U01, U05, U06)."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self

NAME: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class LocalBlob:
    """A still encrypted blob that a worker process can read.

    It is a file of its own, by its path, or `size` bytes from `start` on of an open file.
    """

    file: str | IO[bytes] = field(repr=False)
    start: int = 0
    size: int | None = None


class BlobWriter(Protocol):
    """A new blob: `async with` it, `write` its pieces, `commit`; without commit nothing stays."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def sha256(self) -> str:
        """Returns the SHA-256 of the content so far, in lower-case hex."""
        ...

    async def write(self, data: bytes) -> None:
        """Appends a piece of any size. BlobError when there is no room for it."""
        ...

    async def commit(self) -> tuple[str, bytes]:
        """Stores the blob for good; returns its name and its key, which is stored nowhere else."""
        ...


class Blobs(Protocol):
    """Encrypted blobs under random names of 32 hex digits; `open_store` makes it."""

    @property
    def local_folders(self) -> Sequence[Path]:
        """Returns the folders of the paths that `local` gives: a worker process must be able to read them."""
        ...

    def writer(self) -> BlobWriter:
        """Returns a writer of a new blob."""
        ...

    def read(self, name: str, key: bytes) -> AsyncIterator[bytes]:
        """Yields the content in pieces of at most 64 KiB. BlobError if it is damaged, possibly after some
        pieces."""
        ...

    def read_all(self, pieces: Sequence[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        """Yields the contents of several blobs, each a name and its key, one after the other."""
        ...

    def local(self, names: Sequence[str]) -> AbstractAsyncContextManager[Sequence[LocalBlob]]:
        """Gives the still encrypted blobs, in this order, for as long as the context lasts.

        BlobError for what is no blob's name.
        """
        ...

    async def stored_size(self, name: str) -> int | None:
        """Returns how many bytes are stored of the blob, encrypted as it is; None if it is not there."""
        ...

    def sealed(self, name: str) -> AsyncIterator[bytes]:
        """Yields the blob as it is stored, frame by frame. BlobError when it is not there."""
        ...

    async def adopt(self, name: str, frames: AsyncIterator[bytes]) -> None:
        """Stores the frames that `sealed` of another blob store yields, and replaces what is there."""
        ...

    async def delete(self, name: str) -> None:
        """Removes the blob, if it is there."""
        ...

    async def stale(self, before: datetime) -> Sequence[str]:
        """Returns the names of the blobs that were last written before that time."""
        ...

    async def abort_uploads(self, before: datetime) -> None:
        """Removes what blobs left that were begun before that time, and whose writers have died."""
        ...

    async def check(self) -> None:
        """Raises BlobError when a small blob can't be written."""
        ...
