"""Decodes text as browsers do: by its declared charset, else UTF-8, else Windows-1252 (CONTRACT N06, Q02)."""

import codecs
from typing import Final

# WHATWG Encoding, section 4.2: browsers read these labels as Windows-1252.
_READ_AS_WINDOWS_1252: Final = frozenset({"ascii", "iso8859-1", "cp1252"})
# Codecs of Python for host names and for the source of programs: what they decode is no plain text.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})

# Python's own cp1252 refuses the five bytes that WHATWG's table reads as C1 controls.
_WINDOWS_1252: Final = {
    byte: text for byte in range(0x80, 0xA0) if (text := bytes([byte]).decode("cp1252", "ignore"))
}


def decode(data: bytes, declared: str | None = None) -> str:
    """Returns the text of `data`; never fails, and loses no byte.

    `declared` counts where it names a charset and the bytes are valid in it.
    """
    for charset in filter(None, (declared, "utf-8")):
        try:
            return decode_strictly(data, charset)
        except (LookupError, UnicodeDecodeError):
            continue
    return _windows_1252(data)


def decode_strictly(data: bytes, charset: str) -> str:
    """Returns the text of `data` in this charset.

    Raises LookupError for a name that stands for no charset, and UnicodeDecodeError for invalid bytes.
    """
    name = codecs.lookup(charset).name if charset.isascii() and charset.isprintable() else ""
    if not name or name in _NO_CHARSETS:
        raise LookupError(charset)
    return _windows_1252(data) if name in _READ_AS_WINDOWS_1252 else data.decode(name)


def _windows_1252(data: bytes) -> str:
    return data.decode("latin-1").translate(_WINDOWS_1252)
