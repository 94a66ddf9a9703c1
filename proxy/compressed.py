"""Stores texts compressed: a case may have many megabytes, of which little is ever read."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final, Self

_PIECE: Final = 64 * 1024
_LEVEL: Final = 1  # saves nearly as much as higher levels, in a third of the time
_GZIP: Final = 16 + zlib.MAX_WBITS
_SURROGATES: Final = "surrogatepass"  # text from a PDF may hold lone ones


@dataclass(frozen=True, slots=True)
class Compressed:
    """A compressed text: `size` bytes as gzip members in a row (RFC 1952); also a `values.Content`."""

    gzip: bytes = field(repr=False)
    size: int

    @classmethod
    def from_text(cls, text: str | bytes) -> Self:
        data = text.encode("utf-8", _SURROGATES) if isinstance(text, str) else text
        return cls(gzip.compress(data, _LEVEL, mtime=0), len(data))

    @classmethod
    def again(cls, member: bytes) -> Self:
        """Restores a text that `of` made, from its `gzip`, which ends with the size (ISIZE: below 4 GB)."""
        return cls(member, int.from_bytes(member[-4:], "little"))

    @classmethod
    def concat(cls, pieces: "Iterable[bytes | Compressed]") -> Self:
        """Joins all pieces to one text, without unpacking any."""
        members: list[Compressed] = []
        loose = bytearray()
        for piece in pieces:
            if not isinstance(piece, Compressed):
                loose += piece
                continue
            if loose:
                members.append(Compressed.from_text(bytes(loose)))
                loose.clear()
            members.append(piece)
        if loose:
            members.append(Compressed.from_text(bytes(loose)))
        return cls(b"".join(each.gzip for each in members), sum(each.size for each in members))

    def read(self) -> bytes:
        """Returns the whole text at once."""
        return gzip.decompress(self.gzip)

    def text(self) -> str:
        return self.read().decode("utf-8", _SURROGATES)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the text in pieces of at most 64 KiB; every call starts from its beginning."""
        rest, left = self.gzip, self.size
        while rest:
            unpacking = zlib.decompressobj(_GZIP)
            while not unpacking.eof:
                if piece := unpacking.decompress(rest, _PIECE):
                    left -= len(piece)
                    yield piece
                    if left > 0:
                        await asyncio.sleep(0)
                rest = unpacking.unconsumed_tail
            rest = unpacking.unused_data
