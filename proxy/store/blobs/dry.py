"""The blobs of a dry run: the real ones are read, and new ones are dropped as they are written."""

import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from proxy.store.blobs.protocol import Blobs, LocalBlob

_KEY: Final = bytes(32)


class DryBlobs:
    """The blobs of one dry run (`blobs.protocol.Blobs`). A new one can't be read, for it is nowhere."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._numbers = itertools.count()

    @property
    def local_folders(self) -> Sequence[Path]:
        return self._blobs.local_folders

    def writer(self) -> "DryWriter":
        return DryWriter(f"{next(self._numbers):032x}")

    def read(self, name: str, key: bytes) -> AsyncIterator[bytes]:
        return self._blobs.read(name, key)

    def read_all(self, pieces: Sequence[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        return self._blobs.read_all(pieces)

    def local(self, names: Sequence[str]) -> AbstractAsyncContextManager[Sequence[LocalBlob]]:
        return self._blobs.local(names)

    async def stored_size(self, name: str) -> int | None:
        return await self._blobs.stored_size(name)

    def sealed(self, name: str) -> AsyncIterator[bytes]:
        return self._blobs.sealed(name)

    async def adopt(self, name: str, frames: AsyncIterator[bytes]) -> None:
        """Drops the blob."""

    async def delete(self, name: str) -> None:
        """Leaves the blob as it is."""

    async def stale(self, before: datetime) -> Sequence[str]:
        return await self._blobs.stale(before)

    async def abort_uploads(self, before: datetime) -> None:
        """Leaves unfinished blobs as they are."""

    async def check(self) -> None:
        """Does nothing: there is always room for what is dropped."""


class DryWriter:
    """A writer that drops its bytes (`blobs.protocol.BlobWriter`); its name and key open nothing."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._digest = hashlib.sha256()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def sha256(self) -> str:
        """Returns the SHA-256 of the content so far, in lower-case hex."""
        return self._digest.hexdigest()

    async def write(self, data: bytes) -> None:
        self._digest.update(data)

    async def commit(self) -> tuple[str, bytes]:
        return self._name, _KEY
