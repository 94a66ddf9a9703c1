"""Estimates token counts (CONTRACT N13, L02)."""

import re
from typing import Final

_PIECE: Final = re.compile(r"\w{1,4}|[^\w\s]")
_WORD: Final = re.compile(r"\w")
_BLANK: Final = re.compile(r"\s")


def _kind(sign: str) -> bytes:
    if _WORD.match(sign):
        return b"w"
    return b" " if _BLANK.match(sign) else b"."


_KINDS: Final = b"".join(_kind(chr(code)) for code in range(256))


def estimate(text: str) -> int:
    """Returns about how many tokens a language model would make of `text`; 0 for an empty one.

    Each word counts one for every four characters begun, each other visible character counts one, white space
    nothing. Byte-pair vocabularies come close to that for Spanish and English prose; the estimate needs no
    vocabulary file and takes linear time. A longer text never counts less than a part of it.
    """
    try:
        # Most texts are within Latin-1, and are counted so in a tenth of the pattern's time.
        signs = text.encode("latin-1").translate(_KINDS)
    except UnicodeEncodeError:
        return _PIECE.subn("", text)[1]
    count = signs.count(b".")
    for piece in (b"wwww", b"www", b"ww", b"w"):
        count += signs.count(piece)
        signs = signs.replace(piece, b" ")
    return count
