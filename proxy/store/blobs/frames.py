"""Seals a blob in frames: AES-256-GCM in pieces of 64 KiB, each bound to its position (CONTRACT U06).

A blob is one or more frames of at most 64 KiB plus a 16-byte tag; all but the last are full. The nonce is
the frame's number and whether it is the last. So a blob with a frame missing, moved or cut off the end does
not open. A key must serve one blob only.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.store.errors import BlobError

Plain: TypeAlias = bytes | bytearray | memoryview

FRAME: Final = 64 * 1024
_TAG: Final = 16
SEALED: Final = FRAME + _TAG


@dataclass(frozen=True, slots=True)
class Layout:
    """The number of frames of a stored blob, and its size in bytes once opened."""

    frames: int
    size: int

    @property
    def stored(self) -> int:
        """Returns the size in bytes of the stored blob."""
        return self.size + self.frames * _TAG


class FrameSealer:
    """Cuts the content of one blob into frames, seals them under a new key, and hashes the content.

    Less than a frame waits for more. The frames of a larger piece are not copied first.
    """

    def __init__(self) -> None:
        self.key = AESGCM.generate_key(256)
        self._cipher = AESGCM(self.key)
        self._digest = hashlib.sha256()
        self._rest = bytearray()
        self._number = 0

    @property
    def sha256(self) -> str:
        """Returns the SHA-256 of the content so far, in lower-case hex."""
        return self._digest.hexdigest()

    def takes(self, data: bytes) -> bool:
        """Takes a piece that completes no frame; returns False, and takes nothing, if it may complete one."""
        if len(self._rest) + len(data) > FRAME:
            return False
        self._digest.update(data)
        self._rest += data
        return True

    def frames(self, data: bytes) -> Iterator[bytes]:
        """Yields all frames that can't be the last; what waits and `data` are together more than a frame."""
        self._digest.update(data)
        view = memoryview(data)
        if self._rest:
            missing = FRAME - len(self._rest)
            self._rest += view[:missing]
            yield self._sealed(self._rest, last=False)
            view = view[missing:]
        while len(view) > FRAME:
            yield self._sealed(view[:FRAME], last=False)
            view = view[FRAME:]
        self._rest = bytearray(view)

    def last(self) -> bytes:
        """Returns the last frame, which may be empty."""
        return self._sealed(self._rest, last=True)

    def _sealed(self, plain: Plain, *, last: bool) -> bytes:
        sealed = seal(self._cipher, self._number, plain, last=last)
        self._number += 1
        return sealed


def layout(stored: int) -> Layout:
    """Returns the layout of a blob by the size of its file. Raises BlobError when no blob has this size."""
    frames = -(-stored // SEALED)
    if frames == 0 or stored - (frames - 1) * SEALED < _TAG:
        raise BlobError("the blob was cut")
    return Layout(frames, stored - frames * _TAG)


def seal(cipher: AESGCM, number: int, plain: Plain, *, last: bool) -> bytes:
    return cipher.encrypt(_nonce(number, last=last), plain, None)


def unseal(cipher: AESGCM, number: int, sealed: bytes, *, last: bool) -> bytes:
    """Returns the frame's content. Raises BlobError when it is not of this key and this position."""
    try:
        return cipher.decrypt(_nonce(number, last=last), sealed, None)
    except InvalidTag as error:
        raise BlobError("the blob is not what was written") from error


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
