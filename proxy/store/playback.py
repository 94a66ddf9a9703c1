"""A recording's encrypted chunks as one file that can seek, for a media parser in a worker process."""

import io
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.store.frames import FRAME, SEALED, layout, unseal


class Playback(io.RawIOBase):
    """Opens the blobs at `pieces`, each a path and its key, in order. Nothing is decrypted to disk."""

    def __init__(self, pieces: Sequence[tuple[str, bytes]]) -> None:
        self._pieces = [_Piece(Path(path), key) for path, key in pieces]
        self._starts = list(accumulate((piece.size for piece in self._pieces), initial=0))
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
        for start, piece in zip(self._starts, self._pieces, strict=False):
            if start <= self._position < start + piece.size:
                data = piece.at(self._position - start, len(buffer))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
        return 0

    def close(self) -> None:
        for piece in self._pieces:
            piece.file.close()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Piece:
    """One blob, open for reading."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.file = path.open("rb")
        self._layout = layout(path.stat().st_size)
        self._cipher = AESGCM(key)
        self.size = self._layout.size

    def at(self, offset: int, most: int) -> bytes:
        """Up to `most` bytes from `offset` to the end of the frame that holds it."""
        number = offset // FRAME
        self.file.seek(number * SEALED)
        last = number == self._layout.frames - 1
        plain = unseal(self._cipher, number, self.file.read(SEALED), last=last)
        return plain[offset % FRAME :][:most]
