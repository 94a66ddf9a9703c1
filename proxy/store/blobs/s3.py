"""Stores large contents as encrypted objects in an S3 bucket (CONTRACT U01, U05, U06); keys are elsewhere."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import IO, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.concurrency.ahead import ahead
from proxy.concurrency.tasks import Tasks
from proxy.spool import MemoryBudget
from proxy.store.blobs.frames import unseal
from proxy.store.blobs.protocol import NAME, LocalBlob
from proxy.store.blobs.s3_bucket import S3Bucket
from proxy.store.blobs.s3_part import Part, unwritable
from proxy.store.blobs.s3_upload import S3Upload
from proxy.store.blobs.s3_writer import S3Writer
from proxy.store.errors import BlobError

_ROOM: Final = 6 * 1024 * 1024  # of memory for the frames of all blobs that are being written
_TRIED: Final = bytes(1024)
_DRAIN_SECONDS: Final = 10.0
# A recorder makes an object a second, and each takes a round trip.
_AHEAD: Final = 8
_FRAMES_AHEAD: Final = 2


class S3Blobs:
    """Blobs in a bucket (`blobs.protocol.Blobs`); `spool` is a folder for files without a name."""

    def __init__(self, bucket: S3Bucket, prefix: str, new_name: Callable[[], str], spool: Path) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._new_name = new_name
        self._spool = spool
        self._room = MemoryBudget(_ROOM)
        self._tasks = Tasks()

    @property
    def local_folders(self) -> Sequence[Path]:
        """Returns nothing: `local` gives an open file."""
        return ()

    def writer(self) -> S3Writer:
        """Returns a new blob: `async with` it, `write` its pieces, `commit`; without commit nothing stays."""
        name = self._new_name()
        return S3Writer(name, self._upload(name))

    async def read(self, name: str, key: bytes) -> AsyncGenerator[bytes, None]:
        """Yields the content in pieces of at most 64 KiB.

        Raises BlobError when the blob is damaged or the store fails, possibly after some pieces.
        """
        cipher, number, waiting = AESGCM(key), 0, b""
        async with aclosing(self._bucket.frames(self._path(name))) as frames:
            async for frame in frames:
                if waiting:
                    yield await asyncio.to_thread(unseal, cipher, number, waiting, last=False)
                    number += 1
                waiting = frame
        # An object without bytes has no frame, not even an empty last one.
        if piece := unseal(cipher, number, waiting, last=True):
            yield piece

    async def read_all(self, pieces: Sequence[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        """Yields the contents of several blobs, one after the other; the next ones are asked for ahead."""
        sources = (self.read(name, key) for name, key in pieces)
        async with aclosing(ahead(sources, _AHEAD, _FRAMES_AHEAD)) as found:
            async for piece in found:
                yield piece

    @asynccontextmanager
    async def local(self, names: Sequence[str]) -> AsyncIterator[Sequence[LocalBlob]]:
        """Gives the blobs in one file without a name, which is gone afterwards, encrypted as they are."""
        paths = [self._path(name) for name in names]
        try:
            file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115 - closed at the end of the block
        except OSError as error:
            raise unwritable(error) from None
        with file:
            sizes = await self._spooled(paths, file)
            starts = accumulate(sizes, initial=0)
            yield [LocalBlob(file, *each) for each in zip(starts, sizes, strict=False)]

    async def stored_size(self, name: str) -> int | None:
        """Returns the size of the blob's object; None if it is not there."""
        return await self._bucket.size(self._path(name))

    async def sealed(self, name: str) -> AsyncGenerator[bytes, None]:
        """Yields the blob's object, frame by frame."""
        async with aclosing(self._bucket.frames(self._path(name))) as frames:
            async for frame in frames:
                yield frame

    async def adopt(self, name: str, frames: AsyncIterator[bytes]) -> None:
        """Stores the encrypted frames of another blob store as the blob's object."""
        async with self._upload(name) as upload:
            async for frame in frames:
                await upload.add(frame)
            await upload.commit()

    async def delete(self, name: str) -> None:
        """Removes the blob, if it is there."""
        await self._bucket.delete(self._path(name))

    async def stale(self, before: datetime) -> Sequence[str]:
        """Returns the names of the blobs that were last written before that time."""
        found = self._bucket.objects(self._prefix)
        return [name async for each in found if each.at < before and (name := self._name(each.path))]

    async def abort_uploads(self, before: datetime) -> None:
        """Removes the parts of blobs that were begun before that time, and whose writers have died."""
        found = [each async for each in self._bucket.uploads(self._prefix)]
        for each in found:
            if each.at < before and self._name(each.path):
                await self._bucket.abort(each.path, each.upload)

    async def check(self) -> None:
        """Raises BlobError when a small object can't be written. The sweep removes one that stays."""
        path = self._path(self._new_name())
        await self._bucket.put(path, _TRIED)
        await self._bucket.delete(path)

    async def close(self) -> None:
        """Waits until the parts of blobs without a commit are removed."""
        await self._tasks.drain(_DRAIN_SECONDS)

    async def _spooled(self, paths: Sequence[str], file: IO[bytes]) -> list[int]:
        """Writes the objects to the file, one behind the other; returns their sizes."""
        sizes = [0 for _ in paths]
        sources = (self._numbered(number, path) for number, path in enumerate(paths))
        async with aclosing(ahead(sources, _AHEAD, _FRAMES_AHEAD)) as found:
            async for number, frame in found:
                try:
                    await asyncio.to_thread(_append, file, frame)
                except OSError as error:
                    raise unwritable(error) from None
                sizes[number] += len(frame)
        return sizes

    async def _numbered(self, number: int, path: str) -> AsyncGenerator[tuple[int, bytes], None]:
        async with aclosing(self._bucket.frames(path)) as frames:
            async for frame in frames:
                yield number, frame

    def _upload(self, name: str) -> S3Upload:
        return S3Upload(self._bucket, self._path(name), lambda: Part(self._room, self._spool), self._tasks)

    def _path(self, name: str) -> str:
        """Returns the object's path. Raises BlobError when the name is not a blob's."""
        if not NAME.fullmatch(name):
            raise BlobError("no such blob")
        return f"{self._prefix}{name[:2]}/{name}"

    def _name(self, path: str) -> str:
        """Returns the blob's name; empty for an object that is none of ours."""
        name = path.rpartition("/")[2]
        return name if NAME.fullmatch(name) and path == self._path(name) else ""


def _append(file: IO[bytes], frame: bytes) -> None:
    file.write(frame)
    file.flush()
