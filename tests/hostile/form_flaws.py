"""The bytes that may stand around the parts of a form, and the flaws for which a form must be refused."""

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from tests.flows._wire import BOUNDARY

DELIMITER: Final = b"--" + BOUNDARY.encode()
_B: Final = DELIMITER

BEFORE: Final = (
    b"",
    b"\r\n",
    b"\r\n\r\n",
    b"Un formulario.\r\n",
    b"x" * 5000 + b"\r\n",
    b" --frontera\r\n",
    b"-\r\n",
    b"C\r\n",
)
BEHIND: Final = (
    b"",
    b"Fin.",
    b"\r\n\r\n",
    b"--",
    b"--fronter\r\n",
    b"x--frontera\r\n",
    b"\0" * 100,
    b"Content-Type: x\r\n",
)
PADDING: Final = (b" ", b"\t", b" \t " * 50, b" " * 5000)

# Gets a sound form that begins with its first delimiter, and a word to hide in it.
_Flaw: TypeAlias = Callable[[bytes, bytes, Random], bytes]


def _before(text: bytes) -> _Flaw:
    return lambda body, word, _: text.replace(b"%b", word) + body


def _behind(text: bytes) -> _Flaw:
    return lambda body, word, _: body + text.replace(b"%b", word)


def _other_delimiter(text: bytes) -> _Flaw:
    """One of the delimiters in front of a part is written so."""

    def make(body: bytes, word: bytes, random: Random) -> bytes:
        # What is no delimiter at all within the form is content, by any reading.
        first = not text.startswith(_B) or random.random() < 0.5
        start = 0 if first else body.index(b"\r\n" + _B) + 2
        end = body.index(b"\r\n", start)
        return body[:start] + text.replace(b"%b", word) + body[end:]

    return make


def _cut(body: bytes, _: bytes, random: Random) -> bytes:
    """Cuts the form off: somewhere within, or right before the dashes of its end."""
    end = body.index(_B + b"--")
    return body[: random.choice((end, end + len(_B), end + len(_B) + 1, random.randrange(end)))]


FLAWS: Final[tuple[_Flaw, ...]] = (
    *map(
        _before,
        (b"--\r\n", b"--%b\r\n", b"\r\n--%b\r\n", b"Content-Type: %b\r\n", b"%b\r\ncontent-\r\n", b"%b\n"),
    ),
    *map(
        _before,
        (b"%b\r", b"\n" + _B + b"\n", _B[2:] + b"\r\nContent-Disposition: form-data; name=a\r\n\r\n%b\r\n"),
    ),
    *map(_before, (_B + b"--\r\n", _B + b"--\r\n%b\r\n")),
    *map(_behind, (b"\r\n" + _B, b"\n" + _B + b"--", b"\r" + _B + b"%b", b"%b\r\n" + _B + b"\r\n\r\n")),
    lambda body, _, __: body.rstrip(b"\r\n") + b"\r\n" + body[body.index(_B) :],
    *map(
        _other_delimiter,
        (_B[2:], _B + b"%b", _B + b" %b", _B + b" --", b"-" + _B[2:], b"\n" + _B, _B + b"\n%b"),
    ),
    _cut,
)

# As the content of a part: its encoding, and what is none.
BROKEN_CONTENTS: Final = (
    (b"base64", b"YQ"),
    (b"base64", b"YQ="),
    (b"BASE64", b"YQ==YQ=="),
    (b"base64", b"=YQ="),
    (b"base64", b"Y-=="),
    (b"base64", b"YW\xf1v"),
    (b"quoted-printable", b"=4"),
    (b"Quoted-Printable", b"==41"),
    (b"quoted-printable", b"=zz"),
    (b"quoted-printable", b"a =\rb"),
    (b"quoted-printable", b"= \r\n"),
    (b"gzip", b"1"),
    (b"x-own", b"1"),
    (b"b\xe1se64", b"YQ=="),
)

# Dispositions of which nobody can say what part they are of.
UNCLEAR: Final = (
    b'form-data; name="files',
    b'form-data; name="files"; filename="%b',
    b'form-data; name="files; filename="%b"',
    b'form-data; name="files"; name="%b"',
    b"form-data; name=files; filename=%b; filename=%b",
    b"inline; name=files",
    b'form-data; name="%b"files"',
    b"form-data, name=files",
    b"%b; name=files",
    b"form-data; filename=%b",
    b"form-data",
)
