"""Texts that are kept compressed: a case may have many megabytes, of which little is ever read."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, Self

_PIECE: Final = 64 * 1024
_LEVEL: Final = 1  # most of what there is to save, at a third of the time
_GZIP: Final = 16 + zlib.MAX_WBITS
_SURROGATES: Final = "surrogatepass"  # text taken from a PDF may hold lone ones


@dataclass(frozen=True, slots=True)
class Packed:
    """The bytes of a text, as one gzip member (RFC 1952); a `values.Content`, too."""

    gzip: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str | bytes) -> Self:
        data = text.encode("utf-8", _SURROGATES) if isinstance(text, str) else text
        return cls(gzip.compress(data, _LEVEL, mtime=0))

    @property
    def size(self) -> int:
        """Of the text, in bytes (RFC 1952, ISIZE: no text here comes near its 4 GB)."""
        return int.from_bytes(self.gzip[-4:], "little")

    def read(self) -> bytes:
        """All of it at once."""
        return gzip.decompress(self.gzip)

    def text(self) -> str:
        return self.read().decode("utf-8", _SURROGATES)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The text from its beginning in pieces of at most 64 KiB; every call starts a new reading."""
        unpacking, rest = zlib.decompressobj(_GZIP), self.gzip
        while piece := unpacking.decompress(rest, _PIECE):
            yield piece
            await asyncio.sleep(0)
            rest = unpacking.unconsumed_tail
