"""Text is read as browsers read it: the declared charset, else UTF-8, else Windows-1252."""

import pytest

from proxy.charsets import decode, decode_strictly

_QUOTED = "“Dolor” – 5 €"


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (_QUOTED.encode(), None, _QUOTED),
        (_QUOTED.encode("cp1252"), None, _QUOTED),
        (_QUOTED.encode("cp1252"), "iso-8859-1", _QUOTED),
        (_QUOTED.encode("cp1252"), "us-ascii", _QUOTED),
        (_QUOTED.encode("utf-16"), "utf-16", _QUOTED),
        ("€".encode("iso-8859-15"), "ISO-8859-15", "€"),
        ("€".encode(), "no-such-charset", "€"),
        (b"\xff", "utf-8", "ÿ"),
        (b"\x81\x8d\x8f\x90\x9d", None, "\x81\x8d\x8f\x90\x9d"),
        (b"\\x41", "unicode_escape", "\\x41"),
        (b"41", "hex", "41"),
    ],
)
def test_text_is_decoded_by_its_charset_else_as_a_browser_would(
    data: bytes, declared: str | None, text: str
) -> None:
    assert decode(data, declared) == text


@pytest.mark.parametrize("charset", ["no-such-charset", "hex", "unicode_escape", "a\0b"])
def test_a_name_that_stands_for_no_charset_is_told(charset: str) -> None:
    with pytest.raises(LookupError):
        decode_strictly(b"text", charset)


def test_invalid_bytes_are_told() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_strictly(b"\xff", "utf-8")
