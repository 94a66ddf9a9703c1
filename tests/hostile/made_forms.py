"""Forms for newCase made by chance from a seed, each with what must arrive of it, or that it is refused."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.hostile.form_flaws import BEFORE, BEHIND, BROKEN_CONTENTS, DELIMITER, FLAWS, PADDING, UNCLEAR
from tests.hostile.spellings import NAMES, TEXTS, encoded, in_a_charset, spelled


@dataclass(frozen=True, slots=True)
class Meant:
    """The content that must arrive on the platform; `read` is the text of the files."""

    patient: str
    conversation: str
    files: tuple[tuple[str, bytes], ...]
    read: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A form; `meant` is None for one that must be refused, with this status."""

    body: bytes = field(repr=False)
    meant: Meant | None
    status: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part as it is written; `closed` has the line end that an empty one may go without."""

    head: bytes
    content: bytes = b""
    closed: bool = True

    def render(self) -> bytes:
        return self.head + b"\r\n\r\n" + self.content + (b"\r\n" if self.closed else b"")


def _field(name: str, *lines: bytes, content: bytes = b"", closed: bool = True) -> _Piece:
    return _Piece(
        b"\r\n".join([b'Content-Disposition: form-data; name="%b"' % name.encode(), *lines]), content, closed
    )


def _file(parameter: bytes, *lines: bytes, content: bytes = b"", closed: bool = True) -> _Piece:
    disposition = b'Content-Disposition: form-data; name="files"; ' + parameter
    return _Piece(b"\r\n".join([disposition, b"Content-Type: application/x-own", *lines]), content, closed)


def _whole(pieces: list[_Piece]) -> bytes:
    return b"".join(DELIMITER + b"\r\n" + each.render() for each in pieces) + DELIMITER + b"--\r\n"


def _ehr(patient: str) -> bytes:
    return json.dumps({"id": "p-1", "name": patient}, ensure_ascii=False).encode()


def empty_parts(random: Random, word: str) -> Made:
    """Empty parts anywhere, with and without the line end behind their blank line."""
    files: list[tuple[str, bytes]] = []
    pieces = [_field("ehr", content=_ehr(word))]
    if random.random() < 0.7:
        pieces.append(_field("conversation", closed=random.random() < 0.4))
    for number in range(random.randrange(6)):
        content = random.choice((b"", b"", b"\r\n", b"--", b"\r\n--frontera"[:-1], word.encode()))
        files.append((f"{number}.bin", content))
        closed = bool(content) or random.random() < 0.4
        pieces.append(_file(b'filename="%d.bin"' % number, content=content, closed=closed))
    pieces += [_field("otro", closed=random.random() < 0.4) for _ in range(random.randrange(3))]
    random.shuffle(pieces)
    order = [each for each in pieces if b"filename=" in each.head]
    files = [next(file for file in files if b'"%b"' % file[0].encode() in each.head) for each in order]
    return Made(_whole(pieces), Meant(word, "", tuple(files)), 200)


def framing(random: Random, word: str) -> Made:
    """Makes a form with bytes before, between and behind the delimiters, allowed ones and others."""
    whole = _whole([_field("ehr", content=_ehr(word)), _file(b'filename="1.bin"', content=b"1")])
    body, meant = whole, Meant(word, "", (("1.bin", b"1"),))
    for end in (b"\r\n", b"--\r\n"):
        if random.random() < 0.5:
            body = body.replace(
                DELIMITER + end, DELIMITER + end.removesuffix(b"\r\n") + random.choice(PADDING) + b"\r\n"
            )
    body += random.choice(BEHIND)
    if random.random() < 0.4:
        return Made(random.choice(BEFORE) + body, meant, 200)
    return Made(random.choice(FLAWS)(body, word.encode(), random), None, 400)


def encodings(random: Random, word: str) -> Made:
    """Contents in every encoding of RFC 2045; some of them broken."""
    content = random.randbytes(random.choice((0, 1, 2, 3, 100, 5000)))
    said = random.choice(TEXTS) + word
    lines, written = encoded(content, random)
    pieces = [_file(b'filename="1.bin"', *lines, content=written)]
    for name, raw in (("ehr", _ehr(word)), ("conversation", said.encode()), ("otro", word.encode())):
        lines, written = encoded(raw, random)
        pieces.append(_field(name, *lines, content=written))
    meant, status = Meant(word, said, (("1.bin", content),)), 200
    random.shuffle(pieces)
    if random.random() < 0.4:
        how, broken = random.choice(BROKEN_CONTENTS)
        pieces[random.randrange(len(pieces))] = _field(
            "files", b"Content-Transfer-Encoding: " + how, content=broken
        )
        return Made(_whole(pieces), None, 400)
    return Made(_whole(pieces), meant, status)


def file_names(random: Random, word: str) -> Made:
    """File names in every spelling; some dispositions can be read in two ways."""
    files = [
        (random.choice(NAMES).replace("x", word), b"%d" % number) for number in range(random.randrange(1, 6))
    ]
    pieces = [_field("ehr", content=_ehr(word))]
    for name, content in files:
        parameters = [b"name=files" if random.random() < 0.3 else b'name="files"', spelled(name, random)]
        random.shuffle(parameters)
        kind = random.choice((b"form-data", b"Form-Data", b"attachment"))
        head = b"Content-Disposition: " + random.choice((b"; ", b";")).join([kind, *parameters])
        pieces.append(_Piece(head, content))
    if random.random() < 0.3:
        head = b"Content-Disposition: " + random.choice(UNCLEAR).replace(b"%b", word.encode())
        pieces.insert(random.randrange(len(pieces) + 1), _Piece(head, b"1"))
        return Made(_whole(pieces), None, 400)
    return Made(_whole(pieces), Meant(word, "", tuple(files)), 200)


def charsets(random: Random, word: str) -> Made:
    """Texts in a declared charset, and in none."""
    said, patient = random.choice(TEXTS), f"{random.choice(TEXTS).strip()} {word}"
    how, written = in_a_charset(said, random, guessed=True)
    pieces = [_field("conversation", *how, content=written)]
    how, written = in_a_charset(_ehr(patient).decode(), random, guessed=False)
    if random.random() < 0.25:
        how = random.choice(
            ([], [b"Content-Type: application/json; charset=utf-8"], [b"Content-Type: text/plain"])
        )
        written = _ehr(patient).replace(b"{", b'{"\xf1": 1, ')
        return Made(_whole([*pieces, _field("ehr", *how, content=written)]), None, 500)
    pieces.append(_field("ehr", *how, content=written))
    note = random.choice(TEXTS)
    how, written = in_a_charset(note, random, guessed=True)
    pieces.append(_field("files", *(how or [b"Content-Type: text/plain"]), content=written))
    random.shuffle(pieces)
    files = (("document", written),) if written else ()
    return Made(_whole(pieces), Meant(patient, said, files, note), 200)


FAMILIES: Final[Mapping[str, Callable[[Random, str], Made]]] = {
    "empty parts": empty_parts,
    "framing": framing,
    "encodings": encodings,
    "file names": file_names,
    "charsets": charsets,
}


def made(family: str, number: int, word: str) -> Made:
    """The form of this number in a family; `word`, of letters and digits, is somewhere in it."""
    return FAMILIES[family](Random(f"{family} {number}"), word)
