"""Extracts the text of an uploaded file; runs in an isolated process, since files are hostile."""

import codecs
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from io import BytesIO
from typing import BinaryIO, Final, Literal, Protocol, TypeAlias

from proxy import charsets
from proxy.text.extraction import MAX_CHARACTERS, Extraction, found

Kind: TypeAlias = Literal["pdf", "docx", "text"]

# The parsers, which the serving process does not need (`isolated.forkserver`).
IMPORTED_LATE: Final = ("proxy.text.docx", "proxy.text.pdf")

_HEADER: Final = b"%PDF-"
_HEADER_WITHIN: Final = 1024  # readers look for it there (ISO 32000-1, annex H.3.4.1)
_PDF_TYPE: Final = "application/pdf"
_DOCX_TYPES: Final = frozenset(
    {
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
        "application/vnd.ms-word.document.macroenabled.12",
        "application/vnd.ms-word.template.macroenabled.12",
    }
)
_DOCX_SUFFIXES: Final = frozenset({".docx", ".docm", ".dotx", ".dotm"})
_TEXT_TYPES: Final = frozenset({"application/json", "application/xml", "application/xhtml+xml"})
_TEXT_SUFFIXES: Final = frozenset({".txt", ".csv", ".md", ".json", ".xml", ".html"})
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([^\s";]+)', re.IGNORECASE)
_MAX_BYTES: Final = 4 * MAX_CHARACTERS  # UTF-8 and UTF-16 take at most 4 for a character


class Readable(Protocol):
    """A file that this process can open."""

    def open(self) -> BinaryIO: ...


def extract(source: bytes | Readable, filename: str, content_type: str) -> Extraction:
    """Returns the text of a file (CONTRACT N12, N13); `source` is its bytes or an object that opens it.

    Kinds other than PDF, DOCX and text are "unsupported", a file of 0 bytes is "empty". No file content
    raises anything but MemoryError; OSError means that the file cannot be opened.
    """
    with _opened(source) as file:
        head = file.read(_HEADER_WITHIN)
        if not head:
            return Extraction("empty")
        file.seek(0)
        kind = kind_of(head, filename, content_type)
        if kind == "text":
            return _read_text(file, content_type)
        return _reader(kind)(file) if kind else Extraction("unsupported")


def _opened(source: bytes | Readable) -> AbstractContextManager[BinaryIO]:
    return BytesIO(source) if isinstance(source, bytes) else source.open()


def kind_of(head: bytes, filename: str, content_type: str) -> Kind | None:
    """Returns the kind of a file by its first 1024 bytes, its declared type and its name.

    A PDF is recognized by its header, whatever its name (CONTRACT N12). If other bytes come first, type or
    name must say PDF, too.
    """
    media = content_type.partition(";")[0].strip().lower()
    _, dot, last = filename.strip().lower().rpartition(".")
    suffix = dot + last
    called_pdf = media == _PDF_TYPE or suffix == ".pdf"
    if head.startswith(_HEADER) or (called_pdf and _HEADER in head[:_HEADER_WITHIN]):
        return "pdf"
    if media in _DOCX_TYPES or suffix in _DOCX_SUFFIXES:
        return "docx"
    if media.startswith("text/") or media in _TEXT_TYPES or suffix in _TEXT_SUFFIXES:
        return "text"
    return None


def _read_text(file: BinaryIO, content_type: str) -> Extraction:
    declared = _CHARSET.search(content_type)
    return found(_decoded(file.read(_MAX_BYTES), declared[1] if declared else None))


def _decoded(data: bytes, declared: str | None) -> str:
    """Decodes UTF-16 with a mark; else by the declared charset, else UTF-8, else Windows-1252."""
    if data.startswith(_UTF16_MARKS):
        return data.decode("utf-16", "replace")
    # At the limit, the last character may be cut.
    shorter = range(4 if len(data) == _MAX_BYTES else 1)
    for charset in filter(None, (declared, "utf-8")):
        for less in shorter:
            with suppress(LookupError, UnicodeDecodeError):
                return charsets.decode_strictly(data[: len(data) - less], charset).removeprefix("\ufeff")
    return charsets.decode(data)


def _reader(kind: Literal["pdf", "docx"]) -> Callable[[BinaryIO], Extraction]:
    from proxy.text import docx, pdf

    return pdf.read if kind == "pdf" else docx.read
