"""Decodes text as browsers do: by its declared charset, else UTF-8, else Windows-1252 (CONTRACT N06, Q02)."""

import codecs
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import Final

# WHATWG Encoding, section 4.2: browsers read these labels as Windows-1252.
_READ_AS_WINDOWS_1252: Final = frozenset({"ascii", "iso8859-1", "cp1252"})
# Python caches every codec name that it is asked for and never forgets one: a name that a client invents
# must not get that far. Codecs for host names and for source code are left out: they decode no plain text.
_WITHOUT_ALIAS: Final = {
    "cp1006",
    "cp720",
    "cp737",
    "cp856",
    "cp874",
    "cp875",
    "koi8_t",
    "koi8_u",
    "utf_8_sig",
}
_CHARSETS: Final = frozenset({*aliases, *aliases.values(), *_WITHOUT_ALIAS})
# Browsers read no UTF-7 (WHATWG); Python's codec can make lone surrogates of it, which no text can carry.
_NO_CHARSETS: Final = frozenset({"utf-7"})

# Python's own cp1252 refuses the five bytes that WHATWG's table reads as C1 controls.
_WINDOWS_1252: Final = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))


def decode(data: bytes, declared: str | None = None) -> str:
    """Returns the text of `data`; never fails, and loses no byte.

    `declared` is used when it names a charset and the bytes are valid in it.
    """
    try:
        return decode_strictly(data, declared) if declared else data.decode()
    except (LookupError, UnicodeDecodeError):
        return decode(data) if declared else _windows_1252(data)


def decode_strictly(data: bytes, charset: str) -> str:
    """Returns the text of `data` in this charset.

    Raises LookupError for a name of no charset, and UnicodeDecodeError for invalid bytes.
    """
    label = normalize_encoding(charset).lower()
    name = codecs.lookup(label).name if label in _CHARSETS and charset.isascii() else ""
    if not name or name in _NO_CHARSETS:
        raise LookupError("no such charset")
    return _windows_1252(data) if name in _READ_AS_WINDOWS_1252 else data.decode(name)


def _windows_1252(data: bytes) -> str:
    return codecs.charmap_decode(data, "strict", _WINDOWS_1252)[0]
