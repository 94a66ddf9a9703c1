"""The possible results of reading a file's text, and the tidying of that text."""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Outcome: TypeAlias = Literal["text", "empty", "encrypted", "damaged", "unsupported"]

MAX_CHARACTERS: Final = 5_000_000

# Blanks in a row are tried once, at the first: a line of blanks alone would take quadratic time.
_LINE_END: Final = re.compile(r"(?<![ \t])[ \t]*+(?:\r\n?|(?=\n))")
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u00ad\ufeff]")
_LIGATURE: Final = re.compile("[\ufb00-\ufb06]")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The text of a file, empty unless `outcome` is "text"; form feeds separate pages."""

    outcome: Outcome
    text: str = field(default="", repr=False)


def found(text: str) -> Extraction:
    """Returns the text, tidied and cut at 5,000,000 characters; "empty" if nothing visible is left."""
    tidy = _tidied(text[:MAX_CHARACTERS])
    return Extraction("text", tidy) if tidy.strip() else Extraction("empty")


def _tidied(text: str) -> str:
    """Returns text that can be encoded, stored and searched: no lone surrogates or controls, one spelling.

    NFKC would make 103 of 10³, so only the typographic ligatures of PDF fonts are taken apart.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    plain = _CONTROLS.sub("", _LINE_END.sub(lambda end: "\n" if "\r" in end[0] else "", whole))
    spelt = _LIGATURE.sub(lambda sign: unicodedata.normalize("NFKC", sign[0]), plain)
    return unicodedata.normalize("NFC", spelt)
