"""A temporary file, encrypted before its bytes reach the disk; the key is only in memory.

AES-256 in counter mode: any position can be read without the bytes before it, and nothing grows. It hides the
bytes and doesn't protect them from change: the file has no name, and a writer to it could read the key, too.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO, Final, TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

Key: TypeAlias = bytes

_BLOCK: Final = 16


def new_key() -> Key:
    """Returns a key for one file only: the counter begins at the file's own beginning."""
    return os.urandom(32)


def sealing(key: Key) -> CipherContext:
    """Returns a cipher that encrypts the file's bytes, given in their order."""
    return Cipher(AES(key), _counting_from(0)).encryptor()


def opening(key: Key, offset: int) -> CipherContext:
    """Returns a cipher that decrypts the file's bytes from `offset` on, given in their order."""
    context = Cipher(AES(key), _counting_from(offset // _BLOCK)).decryptor()
    context.update(bytes(offset % _BLOCK))
    return context


def pieces(file: IO[bytes], key: Key, size: int, piece: int) -> Iterator[bytes]:
    """Yields the file from its beginning, by positioned reads, which do not disturb concurrent readers."""
    context = opening(key, 0)
    for start in range(0, size, piece):
        # fileno() is called each time: once this file is closed, its number may be another file's.
        yield context.update(os.pread(file.fileno(), piece, start))


@dataclass(frozen=True, slots=True)
class SealedFile:
    """The open file and its key: an isolated process reads the file with them."""

    file: IO[bytes] = field(repr=False)
    key: Key = field(repr=False)

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Opened(self.file, self.key))


class _Opened(io.RawIOBase):
    """The decrypted file, readable from any position; positioned reads do not disturb other readers."""

    def __init__(self, file: IO[bytes], key: Key) -> None:
        self._file = file
        self._key = key
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = os.fstat(self._file.fileno()).st_size
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: end}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        sealed = os.pread(self._file.fileno(), len(buffer), self._position)
        buffer[: len(sealed)] = opening(self._key, self._position).update(sealed)
        self._position += len(sealed)
        return len(sealed)


def _counting_from(block: int) -> CTR:
    return CTR(block.to_bytes(_BLOCK, "big"))
