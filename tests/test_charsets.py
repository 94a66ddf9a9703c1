"""Text is read as browsers read it: the declared charset, else UTF-8, else Windows-1252."""

import encodings

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
        (b"+2AA-", "utf-7", "+2AA-"),
        ("Ї".encode("koi8-u"), "KOI8-U", "Ї"),
        ("ก".encode("cp874"), "cp874", "ก"),
    ],
)
def test_text_is_decoded_by_its_charset_else_as_a_browser_would(
    data: bytes, declared: str | None, text: str
) -> None:
    assert decode(data, declared) == text


@pytest.mark.parametrize(
    "charset", ["no-such-charset", "hex", "unicode_escape", "a\0b", "utf-7", "utf-8\u00e9", "", "idna"]
)
def test_a_name_that_stands_for_no_charset_is_told(charset: str) -> None:
    with pytest.raises(LookupError):
        decode_strictly(b"text", charset)


def test_every_byte_is_read_by_the_table_of_browsers() -> None:
    read = {bytes([byte]): decode_strictly(bytes([byte]), "windows-1252") for byte in range(256)}
    assert len(set(read.values())) == 256
    for byte, text in read.items():
        assert byte.decode("cp1252", "ignore") in (text, ""), byte
        assert byte.decode("cp1252", "ignore") or text == byte.decode("latin-1"), byte


def test_names_that_clients_invent_are_not_remembered() -> None:
    before = len(encodings._cache)
    for number in range(20):
        decode(b"\xff", f"invented-{number}")
        decode(b"\xff", f"utf-8{'-' * number}")
    assert len(encodings._cache) <= before + 1


def test_invalid_bytes_are_told() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_strictly(b"\xff", "utf-8")
