"""Stores large contents as encrypted files in a folder (CONTRACT U01, U05, U06); their keys are elsewhere."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.store.blobs.frames import SEALED, FrameSealer, Layout, layout, unseal
from proxy.store.blobs.protocol import NAME, LocalBlob
from proxy.store.errors import BlobError, cause_of
from proxy.store.locations import make_private, sync_folder, try_room

_TEMPORARY: Final = "tmp"


class FolderBlobs:
    """Blobs in a folder (`blobs.protocol.Blobs`). Blocks a little: make it in a thread."""

    def __init__(self, folder: Path, new_name: Callable[[], str]) -> None:
        self._folder = folder
        self._new_name = new_name
        make_private(folder / _TEMPORARY)
        for path in (folder / _TEMPORARY).iterdir():
            _remove_left_over(path)

    @property
    def local_folders(self) -> Sequence[Path]:
        """Returns the one folder: a process that reads a blob opens its file there."""
        return (self._folder,)

    def writer(self) -> "FolderWriter":
        """Returns a new blob: `async with` it, `write` its pieces, `commit`; without commit nothing stays."""
        return FolderWriter(self._new_file(self._new_name()))

    async def read(self, name: str, key: bytes) -> AsyncIterator[bytes]:
        """Yields the content in pieces of at most 64 KiB.

        Raises BlobError when the blob is damaged, possibly after some pieces.
        """
        file = await asyncio.to_thread(self._open, name)
        try:
            shape, cipher = _layout_of(file), AESGCM(key)
            for number in range(shape.frames):
                if piece := await asyncio.to_thread(_frame, file, cipher, shape, number):
                    yield piece
        finally:
            file.close()

    async def read_all(self, pieces: Sequence[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        """Yields the contents of several blobs, one after the other."""
        for name, key in pieces:
            async for piece in self.read(name, key):
                yield piece

    @asynccontextmanager
    async def local(self, names: Sequence[str]) -> AsyncIterator[Sequence[LocalBlob]]:
        """Gives the blobs' own files. Raises BlobError when the name is not a blob's."""
        yield [LocalBlob(str(self._path(name))) for name in names]

    async def stored_size(self, name: str) -> int | None:
        """Returns the size of the blob's file; None if it is not there."""
        try:
            return (await asyncio.to_thread(self._path(name).stat)).st_size
        except FileNotFoundError:
            return None

    async def sealed(self, name: str) -> AsyncIterator[bytes]:
        """Yields the blob's file, frame by frame."""
        file = await asyncio.to_thread(self._open, name)
        try:
            while frame := await asyncio.to_thread(file.read, SEALED):
                yield frame
        finally:
            file.close()

    async def adopt(self, name: str, frames: AsyncIterator[bytes]) -> None:
        """Stores the encrypted frames of another blob store as the blob's file."""
        with self._new_file(name) as file:
            async for frame in frames:
                with _own_errors():
                    await asyncio.to_thread(file.write, frame)
            with _own_errors():
                await asyncio.to_thread(file.commit)

    async def delete(self, name: str) -> None:
        """Removes the blob, if it is there."""
        await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    async def stale(self, before: datetime) -> Sequence[str]:
        """Returns the names of the blobs whose files were last written before that time."""
        return await asyncio.to_thread(_names_before, self._folder, before)

    async def abort_uploads(self, before: datetime) -> None:
        """Does nothing: the files of dead writers are removed when the folder is opened."""

    async def check(self) -> None:
        """Raises BlobError when a small blob can't be written to the folder."""
        with _own_errors():
            await asyncio.to_thread(try_room, self._folder / _TEMPORARY)

    def _path(self, name: str) -> Path:
        """Returns the path of the blob's file. Raises BlobError when the name is not a blob's."""
        if not NAME.fullmatch(name):
            raise BlobError("no such blob")
        return self._folder / name[:2] / name

    def _new_file(self, name: str) -> "_NewFile":
        return _NewFile(self._folder / _TEMPORARY / name, self._path(name))

    def _open(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except FileNotFoundError as error:
            raise BlobError("no such blob") from error


class _NewFile:
    """A file that gets its name only when it is whole; a `with` block that ends before that removes it."""

    def __init__(self, temporary: Path, path: Path) -> None:
        self._temporary = temporary
        self._path = path
        self._file: BinaryIO
        self.committed = False

    @property
    def name(self) -> str:
        return self._path.name

    def __enter__(self) -> Self:
        # Not in a thread: it takes microseconds, and a caller that is cancelled could not undo it there.
        with _own_errors():
            self._file = _create(self._temporary)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.committed:
            self.discard()

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def commit(self) -> None:
        """Puts the file on disk for good, under its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        make_private(self._path.parent)
        self._temporary.rename(self._path)
        sync_folder(self._path.parent)
        self._file.close()
        self.committed = True

    def discard(self) -> None:
        # The file's own lock makes closing wait for a write that a cancelled caller left in its thread. On a
        # full disk the last flush fails a second time; the caller has that error already.
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


class FolderWriter:
    """A file that is being written (`blobs.protocol.BlobWriter`). Holds one frame and the piece being
    written.

    A piece that completes a frame is hashed, sealed and written in one go, in a thread.
    """

    def __init__(self, file: _NewFile) -> None:
        self._file = file
        self._sealer = FrameSealer()

    async def __aenter__(self) -> Self:
        self._file.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.committed:
            await asyncio.to_thread(self._file.discard)

    @property
    def sha256(self) -> str:
        """Returns the SHA-256 of the content so far, in lower-case hex."""
        return self._sealer.sha256

    async def write(self, data: bytes) -> None:
        """Appends a piece of any size. Raises BlobError when the disk is full."""
        if not self._sealer.takes(data):
            with _own_errors():
                await asyncio.to_thread(self._write_frames, data)

    async def commit(self) -> tuple[str, bytes]:
        """Puts the blob on disk for good; returns its name and its key, which is stored nowhere else."""
        with _own_errors():
            await asyncio.to_thread(self._commit)
        return self._file.name, self._sealer.key

    def _write_frames(self, data: bytes) -> None:
        for frame in self._sealer.frames(data):
            self._file.write(frame)

    def _commit(self) -> None:
        self._file.write(self._sealer.last())
        self._file.commit()


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = f"MICHIQ_BLOBS_URL: the folder can't be written to ({error.strerror})"
        raise BlobError(said, cause_of(error)) from error


def _create(path: Path) -> BinaryIO:
    """Returns a new file under a lock, so that other processes don't remove it as a left-over."""
    while True:
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # a process that opened the store at this moment had the lock first


def _remove_left_over(path: Path) -> None:
    """Removes a file whose writer has died; one that is gone by now was renamed, or removed by its writer."""
    with suppress(FileNotFoundError), path.open("rb") as file, suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)


def _names_before(folder: Path, when: datetime) -> list[str]:
    files = folder.glob("[0-9a-f][0-9a-f]/*")
    return [path.name for path in files if _written_before(path, when)]


def _written_before(path: Path, when: datetime) -> bool:
    try:
        return path.stat().st_mtime < when.timestamp()
    except FileNotFoundError:  # deleted since it was listed
        return False


def _layout_of(file: BinaryIO) -> Layout:
    return layout(os.fstat(file.fileno()).st_size)


def _frame(file: BinaryIO, cipher: AESGCM, shape: Layout, number: int) -> bytes:
    file.seek(number * SEALED)
    return unseal(cipher, number, file.read(SEALED), last=number == shape.frames - 1)
