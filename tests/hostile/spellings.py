"""One name, one text and one content in all the ways in which clients write them, by chance from a seed."""

import base64
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, TypeAlias
from urllib.parse import quote

# What is hard to write, or to read back; each is in Windows-1252, the last ones are not.
NAMES: Final = (
    "informe.bin",
    "informe anual.bin",
    "a;b;c.bin",
    'dos "comillas".bin',
    '"',
    "niño.bin",
    "“Dolor” – 5 €.bin",
    "a=b; filename=c.bin",
    "C:\\nuevo\\x.bin",
    "a\\b.bin",
    "../../x.bin",
    "y" * 300 + ".bin",
    "50% = ½.bin",
    "'.bin",
    "📄.bin",
    "Ωμέγα.bin",
    "日本語" * 20 + ".bin",
)
TEXTS: Final = ("Dolor de 5 días", "“Dolor” – 5 €", "ñandú", "¿Qué tal?\r\nBien = mejor.", "ÁÉÍÓÚ" * 40, "")
# Charset as declared → Python's own name of what is meant.
CHARSETS: Final[Mapping[str, str]] = {
    "utf-8": "utf-8",
    "UTF8": "utf-8",
    "windows-1252": "cp1252",
    "ISO-8859-1": "cp1252",
    '"latin1"': "cp1252",
    "us-ascii": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-32": "utf-32",
    "gb18030": "gb18030",
    "macintosh": "mac-roman",
    "invented": "utf-8",
    "utf-7": "utf-8",
}

Spelling: TypeAlias = Callable[[str, Random], bytes | None]


def _plain(name: str, _: Random) -> bytes | None:
    """Writes a name as browsers do, which escape the quote alone."""
    sound = "%2" not in name and not name.endswith("\\")
    return b'filename="%b"' % name.replace('"', "%22").encode() if sound else None


def _windows(name: str, random: Random) -> bytes | None:
    try:
        return b'filename="%b"' % name.replace('"', "%22").encode("cp1252")
    except UnicodeEncodeError:
        return None


def _pairs(name: str, _: Random) -> bytes | None:
    return b'filename="%b"' % name.replace("\\", "\\\\").replace('"', '\\"').encode()


def _unescaped(name: str, _: Random) -> bytes | None:
    """Writes a name without escapes; what stands behind a quote shows that it isn't the last one."""
    sound = "\\" not in name and not name.endswith('"')
    return b'filename="%b"' % name.encode() if sound else None


def _bare(name: str, _: Random) -> bytes | None:
    sound = not name.startswith('"') and "=" not in name and "\\" not in name
    return b"filename=" + name.encode() if sound else None


def _extended(name: str, random: Random) -> bytes | None:
    charset = random.choice(("utf-8", "UTF-16", "gb18030"))
    before = random.choice((b"", b"filename=otro.bin; "))
    return before + f"filename*={charset}'es'{quote(name.encode(charset), safe='')}".encode()


def _continued(name: str, random: Random) -> bytes | None:
    data = name.encode()
    cut = random.randrange(len(data) + 1)
    first, second = quote(data[:cut], safe=""), quote(data[cut:], safe="")
    return f"filename*0*=utf-8''{first}; filename*1*={second}".encode()


def _words(name: str, random: Random) -> bytes | None:
    """Encoded-words, cut within a character too; long ones are on lines of their own."""
    data, words = name.encode(), []
    while data:
        piece, data = data[:30], data[30:]
        words.append(b"=?utf-8?B?%b?=" % base64.b64encode(piece) if random.random() < 0.5 else _q(piece))
    return b'filename="%b"' % random.choice((b" ", b"\r\n ", b"")).join(words)


def _q(data: bytes) -> bytes:
    return b"=?UTF-8?Q?%b?=" % b"".join(b"_" if byte == 0x20 else b"=%02X" % byte for byte in data)


SPELLINGS: Final[tuple[Spelling, ...]] = (
    _plain,
    _windows,
    _pairs,
    _unescaped,
    _bare,
    _extended,
    _continued,
    _words,
)


def spelled(name: str, random: Random) -> bytes:
    """The parameter of a disposition that names the file so."""
    written = [each for spelling in SPELLINGS if (each := spelling(name, random)) is not None]
    return random.choice(written)


def in_a_charset(text: str, random: Random, *, guessed: bool) -> tuple[list[bytes], bytes]:
    """The lines that declare a charset, and the text in it; `guessed` where none need be declared."""
    declared = random.choice(sorted(CHARSETS))
    if random.random() < 0.3:
        return [], text.encode("cp1252" if guessed and random.random() < 0.5 else "utf-8")
    return [b"Content-Type: text/plain; charset=" + declared.encode()], text.encode(CHARSETS[declared])


def encoded(content: bytes, random: Random) -> tuple[list[bytes], bytes]:
    """The lines that say how a content is encoded, and the content so."""
    how = random.choice(("", "7bit", "8BIT", "binary", "base64", "Base64", "quoted-printable"))
    lines = [b"Content-Transfer-Encoding: " + how.encode()] if how else []
    if how.lower() == "base64":
        text = base64.b64encode(content)
        width = random.choice((4, 61, 76, 10**9))
        return lines, b"\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    if how == "quoted-printable":
        return lines, _quoted(content, random)
    return lines, content


def _quoted(content: bytes, random: Random) -> bytes:
    """Writes each byte as itself if it may be, in lines of up to 76 characters."""
    plain = random.choice((b"", bytes(range(0x20, 0x7F)).replace(b"=", b""), bytes(set(range(256)) - {0x3D})))
    signs = [bytes([byte]) if byte in plain else b"=%02x" % byte for byte in content]
    width = random.choice((1, 20, 25))
    return b"=\r\n".join(b"".join(signs[at : at + width]) for at in range(0, len(signs), width))
