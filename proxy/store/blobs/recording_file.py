"""Reads a recording's encrypted chunks as one seekable file, for a media parser in a worker process."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.audio.duration import seconds
from proxy.store.blobs.frames import FRAME, SEALED, Layout, layout, unseal
from proxy.store.blobs.protocol import LocalBlob


def seconds_of(pieces: Sequence[tuple[LocalBlob, bytes]]) -> float:
    """Returns the length of a recording in seconds; `pieces` are those of Playback.

    It is a worker's task, and stands here since a worker imports the module of its task: from a flow's
    module, it would import the whole proxy. Raises BadAudio and BlobError.
    """
    with Playback(pieces) as raw, io.BufferedReader(raw, FRAME) as file:
        return seconds(file)


class Playback(io.RawIOBase):
    """A file made of the blobs in `pieces`, each with its key, in order. Nothing is decrypted to disk.

    One path is open at a time: a recorder that uploads every second makes more blobs than a process may have
    open files. Reading raises BlobError when a blob is not what was written.
    """

    def __init__(self, pieces: Sequence[tuple[LocalBlob, bytes]]) -> None:
        self._piece: _Piece | None = None
        self._pieces = pieces
        self._layouts = [layout(_size(blob)) for blob, _ in pieces]
        self._starts = list(accumulate((each.size for each in self._layouts), initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        number = bisect_right(self._starts, self._position) - 1
        if number == len(self._pieces):
            return 0
        data = self._at(number).at(self._position - self._starts[number], len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if self._piece is not None:
            self._piece.close()
        super().close()

    def _at(self, number: int) -> "_Piece":
        if self._piece is None or self._piece.number != number:
            if self._piece is not None:
                self._piece.close()
            self._piece = _Piece(number, *self._pieces[number], self._layouts[number])
        return self._piece


class _Piece:
    """One blob, open for reading."""

    def __init__(self, number: int, blob: LocalBlob, key: bytes, shape: Layout) -> None:
        self.number = number
        self._is_own = isinstance(blob.file, str)
        self._file = Path(blob.file).open("rb") if isinstance(blob.file, str) else blob.file  # noqa: SIM115
        self._start = blob.start
        self._layout = shape
        self._cipher = AESGCM(key)

    def at(self, offset: int, most: int) -> bytes:
        """Returns up to `most` bytes from `offset`, at most to the end of its frame."""
        number = offset // FRAME
        self._file.seek(self._start + number * SEALED)
        last = number == self._layout.frames - 1
        sealed = self._file.read(self._layout.stored - number * SEALED if last else SEALED)
        return unseal(self._cipher, number, sealed, last=last)[offset % FRAME :][:most]

    def close(self) -> None:
        if self._is_own:
            self._file.close()


def _size(blob: LocalBlob) -> int:
    if blob.size is not None:
        return blob.size
    return Path(blob.file).stat().st_size if isinstance(blob.file, str) else 0
