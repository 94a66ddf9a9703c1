"""A temporary file whose bytes are encrypted before they reach the disk, under a key that is only in memory.

AES-256 in counter mode: any place can be read without what comes before it, and nothing grows. It hides
and doesn't protect from change: the file has no name, and who can write to it anyway can read the key.
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
    """A key must serve one file only: the counter begins at the file's own beginning."""
    return os.urandom(32)


def sealing(key: Key) -> CipherContext:
    """Encrypts the file's bytes, given in their order."""
    return Cipher(AES(key), _counting_from(0)).encryptor()


def opening(key: Key, offset: int) -> CipherContext:
    """Decrypts the file's bytes from `offset` on, given in their order."""
    context = Cipher(AES(key), _counting_from(offset // _BLOCK)).decryptor()
    context.update(bytes(offset % _BLOCK))
    return context


def pieces(file: IO[bytes], key: Key, size: int, piece: int) -> Iterator[bytes]:
    """The file from its beginning, by positioned reads, which leave concurrent readings alone."""
    context = opening(key, 0)
    for start in range(0, size, piece):
        # Asked for each time: a number alone may be another file's, once this one is closed.
        yield context.update(os.pread(file.fileno(), piece, start))


@dataclass(frozen=True, slots=True)
class SealedFile:
    """What an isolated process is handed to read the file: the file, open, and its key."""

    file: IO[bytes] = field(repr=False)
    key: Key = field(repr=False)

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Opened(self.file, self.key))


class _Opened(io.RawIOBase):
    """The file in clear, from any place; positioned reads leave concurrent readings alone."""

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
