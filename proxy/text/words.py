"""Splits texts into the words that a search compares: lower case, without diacritics."""

import re
import unicodedata
from typing import Final

# Both patterns look for the rare part first: most letters are looked at only once.
_WORD: Final = re.compile(r"\w+")
_CAMEL: Final = re.compile(r"[A-Z](?<=[a-z0-9].)")
# The blocks of combining diacritics; vowel signs of other scripts separate words, wherever they are.
_DIACRITICS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")


def words(text: str) -> list[str]:
    """Returns the words of a text, or of a question, in their order."""
    plain = text.lower()
    if not plain.isascii():
        plain = _DIACRITICS.sub("", unicodedata.normalize("NFKD", plain))
    return _WORD.findall(plain.replace("_", " "))


def words_of_names(text: str) -> list[str]:
    """Returns the words of a text in which names like patientAllergies stand for several words."""
    return words(_CAMEL.sub(r" \g<0>", text))
