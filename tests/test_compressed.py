"""Compressed texts: they come back as they were, whole or in pieces."""

from random import Random
from typing import Final

import pytest

from proxy.compressed import Compressed

PIECE: Final = 64 * 1024
TEXTS: Final = {
    "nothing": "",
    "a word": "Núñez \U0001f642",
    "half a character": "informe \ud800.pdf",
    "much of the same": "a" * (5 * PIECE),
    "as much as a piece": "b" * PIECE,
    "nothing twice": "".join(map(chr, Random(1).choices(range(32, 0x3000), k=PIECE))),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_what_was_packed_comes_back(text: str) -> None:
    packed, raw = Compressed.from_text(text), text.encode("utf-8", "surrogatepass")
    pieces = [piece async for piece in packed.chunks()]
    assert packed.text() == text
    assert packed.read() == b"".join(pieces) == raw
    assert packed.size == len(raw)
    assert all(len(piece) <= PIECE for piece in pieces)
    assert Compressed.again(packed.gzip) == packed


async def test_texts_are_joined_in_their_order_whether_packed_or_not() -> None:
    raw = [text.encode("utf-8", "surrogatepass") for text in TEXTS.values()]
    pieces = [
        Compressed.from_text(each) if number % 2 else each
        for number, each in enumerate([b"[", *raw, b"", b"]"])
    ]
    joined, whole = Compressed.concat(pieces), b"".join([b"[", *raw, b"]"])
    assert joined.read() == b"".join([piece async for piece in joined.chunks()]) == whole
    assert joined.size == len(whole)


def test_nothing_is_joined_to_nothing() -> None:
    assert Compressed.concat([]).read() == b""


def test_equal_texts_are_equal_and_not_shown() -> None:
    assert Compressed.from_text("Núñez") == Compressed.from_text("Núñez".encode())
    assert "N" not in repr(Compressed.from_text("Núñez")).removeprefix("Compressed")
