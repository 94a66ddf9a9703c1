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
    """What another process of this machine is handed to read the file: nothing else tells it the key."""

    path: str
    key: Key = field(repr=False)

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Opened(self.path, self.key))


class _Opened(io.RawIOBase):
    """The file in clear, from any place."""

    def __init__(self, path: str, key: Key) -> None:
        self._file = io.FileIO(path)
        self._key = key

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        context = opening(self._key, self._file.tell())
        data = context.update(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _counting_from(block: int) -> CTR:
    return CTR(block.to_bytes(_BLOCK, "big"))
