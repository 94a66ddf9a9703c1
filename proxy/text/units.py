"""Measures lengths in UTF-16 units, as the new platform's browsers and services count them."""

import re
from typing import Final

_SPACE: Final = re.compile(r"\s")


def utf16_units(text: str) -> int:
    """Returns the UTF-16 units of `text` (CONTRACT Q04): 2 for a character beyond U+FFFF, else 1."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split_units(text: str, limit: int) -> list[str]:
    """Cuts `text` into pieces of at most `limit` UTF-16 units each; joined, they are `text` again.

    A cut comes after the last white space in the second half of a piece, if there is any. `limit` is at
    least 2, so that every character fits.
    """
    if limit < 2:
        raise ValueError("a piece must hold at least 2 units")
    pieces = []
    while utf16_units(text) > limit:
        cut = _cut(text, limit)
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text] if text else pieces


def _cut(text: str, limit: int) -> int:
    fits = _fitting(text, limit)
    last = fits
    for space in _SPACE.finditer(text, fits // 2, fits):
        last = space.end()
    return last


def _fitting(text: str, limit: int) -> int:
    """Returns the number of leading characters within `limit` units; the halves of a pair stay together."""
    head = text[:limit].encode("utf-16-le", "surrogatepass")[: 2 * limit]
    return max(1, len(head.decode("utf-16-le", "ignore")))
