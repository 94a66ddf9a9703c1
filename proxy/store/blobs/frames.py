"""Seals a blob in frames: AES-256-GCM in pieces of 64 KiB, each bound to its position (CONTRACT U06).

A blob is one or more frames of at most 64 KiB plus a 16-byte tag; all but the last are full. The nonce is
the frame's number and whether it is the last. So a blob with a frame missing, moved or cut off the end does
not open. A key must serve one blob only.
"""

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
