"""Decodes MIME encoded-words (RFC 2047), which .NET and mail libraries use for file names (CONTRACT N10)."""

import re
from binascii import Error, a2b_base64, a2b_qp
from itertools import groupby
from typing import Final

from proxy import charsets

_WORD: Final = r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?="
_PIECES: Final = re.compile(r"=\?([^?*\s]+)[^?\s]*\?([bBqQ])\?([^?]*)\?=")
# Blanks between two words do not belong to the text.
_WORDS: Final = re.compile(rf"{_WORD}(?:[ \t]*{_WORD})*")
_NO_ESCAPE: Final = re.compile(r"=(?![0-9A-Fa-f]{2})")


def decode_words(text: str) -> str:
    """Returns the text with its encoded-words decoded; broken ones stay as they came."""
    return _WORDS.sub(_decoded, text)


def _decoded(match: re.Match[str]) -> str:
    try:
        words = [(charset.lower(), _bytes(kind, word)) for charset, kind, word in _PIECES.findall(match[0])]
        # A character of several bytes may be cut between two words.
        return "".join(
            charsets.decode_strictly(b"".join(word for _, word in same), charset)
            for charset, same in groupby(words, key=lambda each: each[0])
        )
    except (LookupError, ValueError):
        return match[0]


def _bytes(kind: str, word: str) -> bytes:
    """Returns the bytes of a word; raises ValueError (binascii.Error, UnicodeEncodeError) if it is broken."""
    data = word.encode("ascii")
    if kind in "bB":
        return a2b_base64(data, strict_mode=True)
    if _NO_ESCAPE.search(word):
        raise Error("an escape without its digits")
    return a2b_qp(data, header=True)
