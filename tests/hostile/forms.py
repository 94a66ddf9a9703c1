"""Multipart: boundaries, parts and their names, sizes and numbers, and forms that end too soon."""

from collections.abc import Callable, Set
from typing import Final

from tests.flows._wire import BOUNDARY, part
from tests.hostile.made_forms import FAMILIES, made
from tests.hostile.sound import BAD, MULTI, SAME, Sound, Trick, canary, in_parts

_B: Final = BOUNDARY.encode()
_NEW_CASE: Final = frozenset({"new_case"})
_UPLOAD: Final = frozenset({"upload_audio"})
_ALMOST: Final = (b"\r\n--" + _B[:-1]) * 200_000
_EHR: Final = part("ehr", '{"id": "p-1"}')


def _form(
    name: str, make: Callable[[bytes, bytes], bytes], statuses: Set[int] = BAD, on: Set[str] = MULTI
) -> Trick:
    """A form made of the sound one and the canary."""
    return Trick(
        name, lambda sound, canary: sound.with_body(make(sound.body or b"", canary)).render(), statuses, on=on
    )


def _typed(name: str, kind: bytes, statuses: Set[int] = BAD) -> Trick:
    """A form under another type; `%b` is the canary."""

    def make(sound: Sound, canary: bytes) -> bytes:
        return sound.with_body(sound.body or b"", kind.replace(b"%b", canary)).render()

    return Trick(name, make, statuses, on=MULTI)


def _part(
    name: str, header: bytes, statuses: Set[int] = BAD, content: bytes = b"1", on: Set[str] = MULTI
) -> Trick:
    """A further part under these header lines; `%b` is the canary."""

    def make(body: bytes, canary: bytes) -> bytes:
        further = header.replace(b"%b", canary) + b"\r\n\r\n" + content.replace(b"%b", canary)
        return body.removesuffix(b"--%b--\r\n" % _B) + b"--%b\r\n%b\r\n--%b--\r\n" % (_B, further, _B)

    return _form(name, make, statuses, on)


_NESTED: Final = (
    b'Content-Disposition: form-data; name="files"; filename="x"\r\nContent-Type: multipart/mixed; boundary='
)
_KIND: Final = b"multipart/form-data; boundary="
_TYPES: Final = [
    Trick("no type at all", lambda sound, _: sound.without(b"Content-Type").render(), on=MULTI),
    _typed("a media type of a canary", b"%b/%b; boundary=" + _B),
    _typed("a text", b"text/plain; boundary=" + _B),
    _typed("JSON", b"application/json"),
    _typed("an urlencoded form", b"application/x-www-form-urlencoded"),
    _typed("multipart of another kind", b"multipart/mixed; boundary=" + _B),
    _typed("no boundary", b"multipart/form-data"),
    _typed("an empty boundary", _KIND),
    _typed("an empty quoted boundary", _KIND + b'""'),
    _typed("a boundary that is not closed", _KIND + b'"%b'),
    _typed("two boundaries", _KIND + _B + b"; boundary=%b"),
    _typed("a boundary with a line end", _KIND + b'"a\\\r\\\n%b"'),
    _typed("a boundary beyond ASCII", _KIND + '"ñ%b"'.encode()),
    _typed("a boundary of 71 signs", _KIND + b"x" * 71),
    _typed("a boundary of 8,000 signs", _KIND + b"%b" + b"x" * 7900),
    _typed("another boundary", _KIND + b"%b"),
    _typed("a boundary in RFC 2231", b"multipart/form-data; boundary*=utf-8''" + _B),
    _typed("a boundary in two pieces", b"multipart/form-data; boundary*0=fron; boundary*1=tera"),
    _typed("a list of types", _KIND + _B + b", text/%b"),
    _typed("a thousand parameters", _KIND + _B + b"; a=b" * 1000),
    _typed("a charset that is none", _KIND + _B + b"; charset=%b", {SAME, 400}),
    _typed("UTF-16", _KIND + _B + b"; charset=utf-16", {SAME}),
]


def _cut(share: float) -> Trick:
    return _form(f"form cut at {share}", lambda body, canary: body[: int(len(body) * share)])


_FRAMES: Final = [
    _form("no form", lambda _, canary: canary * 1000),
    _form("an empty body", lambda _body, _canary: b""),
    _form("bare line feeds", lambda body, _: body.replace(b"\r\n", b"\n")),
    _form("bare carriage returns", lambda body, _: body.replace(b"\r\n", b"\r")),
    _form("no dashes", lambda body, _: body.replace(b"--" + _B, _B)),
    _form("a canary before the first delimiter", lambda body, canary: canary + body),
    _form("a canary after a delimiter", lambda body, canary: body.replace(_B, _B + canary, 1)),
    _form("blanks after a delimiter", lambda body, _: body.replace(_B + b"\r\n", _B + b" \r\n", 1), {SAME}),
    _form("no end", lambda body, _: body.removesuffix(b"--\r\n")),
    _form("no last delimiter", lambda body, _: body.removesuffix(b"--%b--\r\n" % _B)),
    _form("only the end", lambda _body, _canary: b"--%b--\r\n" % _B),
    _form("an end before the form", lambda body, canary: b"--%b--\r\n" % _B + canary + body),
    _form("a second form behind", lambda body, _: body + body),
    _form("1 MB before", lambda body, canary: canary * 50_000 + b"\r\n" + body, {SAME, 400}),
    _form("1 MB behind", lambda body, canary: body + canary * 50_000, {SAME}),
    _form("9 MB without a delimiter", lambda _, canary: canary * 500_000),
    _form("carriage returns without end", lambda _body, canary: b"\r" * 2_000_000 + canary),
    _form("line ends without end", lambda _body, canary: b"\r\n" * 1_000_000 + canary),
    _form("almost delimiters", lambda _body, canary: _ALMOST + canary),
    _form("almost delimiters in a part", lambda _, c: in_parts(_EHR, part("x", _ALMOST + c)), {200, 400}),
    *map(_cut, (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95)),
]
_NUMBERS: Final = [
    _form("65 parts", lambda _, c: in_parts(*[part("otro", c)] * 65)),
    _form("50,000 parts", lambda _, c: in_parts(*[part("files", c, filename="1.txt")] * 50_000)),
    _form("50,000 empty parts", lambda _, c: b"--%b\r\n\r\n\r\n" % _B * 50_000 + c),
    _form("50,000 delimiters", lambda _, c: b"--%b\r\n" % _B * 50_000 + c),
    _form("9 lines in a part", lambda _, c: in_parts(part("otro", c, *[b"X-Odd: " + c] * 9))),
    _form("10,000 lines in a part", lambda _, c: in_parts(part("otro", c, *[b"X-Odd: " + c] * 10_000))),
    _form("a line of 1 MB in a part", lambda _, c: in_parts(part("otro", c, b"X-Odd: " + c * 50_000))),
    _form("a name of 1 MB", lambda _, c: in_parts(part(c.decode() * 50_000, c))),
    _form("a file name of 5,000 signs", lambda _, c: in_parts(part("files", c, filename=c * 250))),
    _form("one part twice", lambda body, _: in_parts(_EHR, _EHR), on=_NEW_CASE),
    _form(
        "two recordings", lambda _, c: in_parts(*[part("audioChunk", c, filename="a.wav")] * 2), on=_UPLOAD
    ),
    _form("no recording", lambda _, c: in_parts(part("audio", c)), on=_UPLOAD),
    _form("an empty recording", lambda _, c: in_parts(part("audioChunk", "", filename=c)), on=_UPLOAD),
    _form("11 MB", lambda _, c: in_parts(part("files", c * 600_000, filename=c)), {413}, on=_NEW_CASE),
    _form("a form in a form", lambda body, _: in_parts(_NESTED + _B + b"\r\n\r\n" + body), {SAME, 400}),
    _form(
        "a form in a form, well bounded",
        lambda body, c: in_parts(_EHR, _NESTED + c + b"\r\n\r\n" + body.replace(_B, c)),
        {200},
        on=_NEW_CASE,
    ),
]
_DISPOSITION: Final = b"Content-Disposition: form-data; "
_PARTS: Final = [
    _part("no disposition", b"Content-Type: text/%b"),
    _part("an empty head", b"X-Odd: %b"),
    _part("a part without a name", _DISPOSITION.rstrip(b"; ")),
    _part("an empty name", _DISPOSITION + b'name=""'),
    _part("only a file name", _DISPOSITION + b'filename="%b"'),
    _part("an attachment", b'Content-Disposition: attachment; name="files"; filename="%b"', {SAME, 200}),
    _part("a disposition of a canary", b'Content-Disposition: %b; name="files"'),
    _part("two dispositions", _DISPOSITION + b'name="%b"\r\n' + _DISPOSITION + b'name="ehr"', {SAME, 400}),
    _part("two names", _DISPOSITION + b'name="%b"; name="ehr"', {SAME, 400}),
    _part("a name in a name", _DISPOSITION + b'name="%b; name=\\"ehr\\""', {SAME, 400}),
    _part("a name that is not closed", _DISPOSITION + b'name="%b', {SAME, 400}),
    _part("a name with NUL", _DISPOSITION + b'name="%b\0"', {SAME, 400}),
    _part("a name beyond ASCII", _DISPOSITION + 'name="ñ%b"'.encode(), {SAME}),
    _part("a name in no charset", _DISPOSITION + b'name="\xff\xfe%b"', {SAME}),
    _part("a name in RFC 2231", _DISPOSITION + b"name*=utf-8''%b", {SAME, 400}),
    _part("a line without a colon", _DISPOSITION + b'name="a"\r\n%b'),
    _part("a blank before a colon", _DISPOSITION + b'name="a"\r\nX-Odd : %b', {SAME, 400}),
    _part("a folded line", _DISPOSITION + b'name="a";\r\n filename="%b"', {SAME, 400}),
    _part("a length that is not so", _DISPOSITION + b'name="a"\r\nContent-Length: 99'),
    _part("a length of a canary", _DISPOSITION + b'name="a"\r\nContent-Length: %b', {SAME, 400}),
    _part("base64", _DISPOSITION + b'name="a"\r\nContent-Transfer-Encoding: base64'),
    _part(
        "quoted-printable", _DISPOSITION + b'name="a"\r\nContent-Transfer-Encoding: quoted-printable', {SAME}
    ),
    _part("a coding of a part of a canary", _DISPOSITION + b'name="a"\r\nContent-Transfer-Encoding: %b'),
    _part("a type of a canary", _DISPOSITION + b'name="a"\r\nContent-Type: %b', {SAME}),
    _part(
        "a charset of a canary", _DISPOSITION + b'name="a"\r\nContent-Type: text/plain; charset=%b', {SAME}
    ),
    _part("encoded as a whole", _DISPOSITION + b'name="a"\r\nContent-Encoding: gzip', {SAME, 400}),
]
_FILES: Final = [
    # What is said to be a PDF and is none has an answer of its own.
    _part(f"file name {name!r}", _DISPOSITION + b'name="files"; ' + name, {SAME, 400, 500}, on=_NEW_CASE)
    for name in (
        b'filename="../../../etc/%b"',
        b'filename="..\\..\\%b"',
        b'filename="/%b"',
        b'filename="%b\0.txt"',
        b'filename="%b%00.txt"',
        b'filename="a;b;%b.pdf"',
        b'filename="a\\"%b.txt"',
        b'filename="%b',
        b"filename=%b.txt",
        b"filename=%b b.txt",
        b"filename*=utf-8''%b%2e%2e%2f",
        b"filename*=%b''x",
        b"filename*=utf-8''%ff%b",
        b'filename="\xff\xfe%b"',
        'filename="ñ%b.txt"'.encode(),
        b'filename="\x7f%b"',
        b'filename="=?utf-8?B?YQ==?=%b"',
        b'filename="%b.txt"; filename="b.txt"',
        b'filename="."',
        b'filename=".."',
        b'filename="CON"',
        b'filename="%b\t.txt"',
        b'filename="<script>%b"',
        b'filename="${%b}"',
        b'filename=" "',
    )
]
_CIRCLE: Final = (
    b"%PDF-1.7\n1 0 obj <</Type/Catalog/Pages 1 0 R/Kids[1 0 R]>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF"
)
# A file that is not what its name says, or is made to hurt who reads it.
_CONTENTS: Final = [
    _part(name, _DISPOSITION + b'name="files"; filename="' + file + b'"', {SAME, 500}, content, _NEW_CASE)
    for name, file, content in (
        ("a broken PDF", b"%b.pdf", b"%PDF-1.7\n%b\n%%EOF"),
        ("a PDF of zeros", b"a.pdf", b"%PDF-1.7\n" + bytes(100_000)),
        ("a PDF in a circle", b"a.pdf", _CIRCLE),
        ("a broken DOCX", b"a.docx", b"PK\x03\x04%b"),
        ("a text in UTF-16", b"a.txt", "%bñ".encode("utf-16")),
        ("a text in no charset", b"a.txt", b"\xff\xfe\xfd%b"),
        ("a text of one word", b"a.txt", b"%b" + b"x" * 1_000_000),
        ("XML that grows", b"a.xml", b'<!DOCTYPE a [<!ENTITY a "%b"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>'),
    )
]


def _made(family: str, number: int) -> Trick:
    name = f"made form {number} of {family}"
    word = canary(name).decode()
    status = made(family, number, word).status
    return Trick(
        name,
        lambda sound, _: sound.with_body(made(family, number, word).body).render(),
        {SAME if status == 200 else status},
        on=_NEW_CASE,
    )


# What has to arrive of them is told in test_made_forms.
_MADE: Final = [_made(family, number) for family in FAMILIES for number in range(1000, 1020)]

TRICKS: Final = [*_TYPES, *_FRAMES, *_NUMBERS, *_PARTS, *_FILES, *_CONTENTS, *_MADE]
