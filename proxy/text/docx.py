"""Reads the text of a DOCX file: headers, body with tables, footers and notes, in this order."""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final
from zipfile import BadZipFile

from lxml import etree

from proxy.text.extraction import Extraction, found
from proxy.text.opc import Package, TooLarge

if TYPE_CHECKING:
    from lxml.etree import _Element

_COMPOUND_FILE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the wrapper of a document with a password
_MAIN_PART: Final = "word/document.xml"
_AFTER_BODY: Final = ("footer", "footnotes", "endnotes")

# Transitional and Strict Open XML (ISO/IEC 29500-1, annex A; 29500-4).
_NAMESPACES: Final = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",
)


def _tags(name: str) -> tuple[str, ...]:
    return tuple(f"{namespace}{name}" for namespace in _NAMESPACES)


_DOCUMENT, _PARAGRAPH, _TEXT = _tags("document"), _tags("p"), _tags("t")
_ROW, _CELL = _tags("tr"), _tags("tc")
_SIGNS: Final = {"tab": "\t", "br": "\n", "cr": "\n"}
_BREAKS: Final = {tag: sign for name, sign in _SIGNS.items() for tag in _tags(name)}
_INDENT: Final = re.compile(r"\n +")
# A second copy of a drawing, for Word 2007.
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"

# Errors of zipfile and lxml for a broken file; lxml's syntax errors are SyntaxErrors.
_BROKEN: Final = (
    ArithmeticError,
    BadZipFile,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
)


def read(file: BinaryIO) -> Extraction:
    """Returns the document's text, a line for each paragraph and each table row.

    "encrypted": protected by a password. "unsupported": would unpack to more than 64 MiB, or to more than
    5,000 members. "damaged": not an archive, or its body cannot be read.
    """
    if file.read(len(_COMPOUND_FILE)) == _COMPOUND_FILE:
        return Extraction("encrypted")
    file.seek(0)
    try:
        stories = _stories(Package(file))
        return found(_INDENT.sub("\n", "\n".join("".join(_texts(story)) for story in stories)))
    except TooLarge:
        return Extraction("unsupported")
    except _BROKEN:
        return Extraction("damaged")


def _stories(package: Package) -> Iterator["_Element"]:
    """Yields the XML trees that hold text, in reading order."""
    main = _main_part(package)
    related = _related(package, main)
    yield from _trees(package, [part for kind, part in related if kind == "header"])
    yield _body(package, main)
    yield from _trees(package, [part for kind, part in related if kind in _AFTER_BODY])


def _main_part(package: Package) -> str:
    """Returns the part that the package names as its document, else Word's usual one."""
    named = (part for kind, part in _related(package, "") if kind == "officeDocument" and part in package)
    return next(named, _MAIN_PART)


def _related(package: Package, part: str) -> list[tuple[str, str]]:
    """Returns each relationship once; none if they cannot be read: the body's text counts without them."""
    with suppress(*_BROKEN):
        return list(dict.fromkeys(package.related(part)))
    return []


def _body(package: Package, main: str) -> "_Element":
    tree = package.tree(main)
    if tree.tag not in _DOCUMENT:
        raise ValueError("no word processing document")
    return tree


def _trees(package: Package, parts: list[str]) -> Iterator["_Element"]:
    """Yields the readable ones of the parts around the body."""
    for part in parts:
        with suppress(*_BROKEN):
            yield package.tree(part)


def _texts(story: "_Element") -> Iterator[str]:
    """Yields the texts of a tree and their separators.

    All elements are visited, since clinical templates are made of content controls and tracked insertions.
    """
    etree.strip_elements(story, _FALLBACK, with_tail=False)
    for element in story.iter(*_TEXT, *_PARAGRAPH, *_ROW, *_CELL, *_BREAKS):
        yield element.text or "" if element.tag in _TEXT else _border(element)


def _border(element: "_Element") -> str:
    """Returns the separator in the text at the beginning of `element`."""
    if element.tag in _CELL:
        return "" if next(element.itersiblings(*_CELL, preceding=True), None) is None else " |"
    if element.tag in _PARAGRAPH and next(element.iterancestors(*_CELL), None) is not None:
        return " "
    return _BREAKS.get(element.tag, "\n")
