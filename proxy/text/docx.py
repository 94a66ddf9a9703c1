"""Reads the text of a DOCX file: headers, body with tables, footers and notes, in this order."""

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final
from zipfile import BadZipFile, ZipFile

from docx import Document
from docx.opc.constants import CONTENT_TYPE
from docx.opc.exceptions import OpcError
from docx.oxml import parse_xml

from proxy.text.extraction import Extraction, found

if TYPE_CHECKING:
    from docx.oxml.xmlchemy import BaseOxmlElement

MAX_UNPACKED: Final = 64 * 1024 * 1024
_MAX_MEMBERS: Final = 5_000
_PIECE: Final = 64 * 1024
_COMPOUND_FILE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how Office wraps a document with a password

_AFTER_BODY: Final = (CONTENT_TYPE.WML_FOOTER, CONTENT_TYPE.WML_FOOTNOTES, CONTENT_TYPE.WML_ENDNOTES)

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH, _TEXT, _ROW, _CELL = f"{_W}p", f"{_W}t", f"{_W}tr", f"{_W}tc"
_BREAKS: Final = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n"}
_INDENT: Final = re.compile(r"\n +")
# The same drawing once more, for readers of Word 2007.
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"

# What zipfile, lxml and python-docx raise on a broken file; lxml's syntax errors are SyntaxErrors.
_BROKEN: Final = (
    BadZipFile,
    OpcError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zlib.error,
)


def read(file: BinaryIO) -> Extraction:
    """The document's text, a line for each paragraph and each table row.

    "encrypted": protected by a password. "unsupported": would unpack to more than 64 MiB, or to more than
    5,000 members. "damaged": not a sound DOCX.
    """
    if file.read(len(_COMPOUND_FILE)) == _COMPOUND_FILE:
        return Extraction("encrypted")
    file.seek(0)
    try:
        if not _unpacks_within_limits(file):
            return Extraction("unsupported")
        file.seek(0)
        return found(_INDENT.sub("\n", "\n".join("".join(_texts(story)) for story in _stories(file))))
    except _BROKEN:
        return Extraction("damaged")


def _unpacks_within_limits(file: BinaryIO) -> bool:
    """Judges the declared sizes first, then unpacks piece by piece, which also checks every checksum."""
    with ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED:
            return False
        for member in members:
            with archive.open(member) as unpacked:
                while unpacked.read(_PIECE):
                    pass
    return True


def _stories(file: BinaryIO) -> Iterator["BaseOxmlElement"]:
    """The XML trees that hold text, in the order of reading."""
    main = Document(file).part
    parts = list(main.related_parts.values())
    yield from _trees(part.blob for part in parts if part.content_type == CONTENT_TYPE.WML_HEADER)
    yield main.element
    yield from _trees(part.blob for part in parts if part.content_type in _AFTER_BODY)


def _trees(blobs: Iterable[bytes]) -> Iterator["BaseOxmlElement"]:
    return (parse_xml(blob) for blob in blobs)


def _texts(story: "BaseOxmlElement") -> Iterator[str]:
    """The texts of a tree and what parts them. The tree is walked, as python-docx's own paragraphs leave
    out content controls and tracked insertions, of which clinical templates are made."""
    for fallback in list(story.iter(_FALLBACK)):
        fallback.getparent().remove(fallback)
    for element in story.iter(_TEXT, _PARAGRAPH, _ROW, _CELL, *_BREAKS):
        yield element.text or "" if element.tag == _TEXT else _border(element)


def _border(element: "BaseOxmlElement") -> str:
    """What stands in the text where `element` begins."""
    if element.tag == _CELL:
        return "" if element.getparent().find(_CELL) is element else " |"
    if element.tag == _PARAGRAPH and next(element.iterancestors(_CELL), None) is not None:
        return " "
    return _BREAKS.get(element.tag, "\n")
