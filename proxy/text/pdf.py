"""Reads the text of a PDF with PDFium, as far as damage and encryption allow."""

import re
from collections.abc import Iterator
from contextlib import closing
from ctypes import c_ushort
from threading import Lock
from typing import BinaryIO, Final

from pypdfium2 import PdfDocument, PdfiumError, PdfPage, PdfTextPage
from pypdfium2.raw import (
    FPDF_ERR_PASSWORD,
    FPDF_ERR_SECURITY,
    FPDF_GetLastError,
    FPDF_LoadMemDocument64,
    FPDFText_GetText,
    FPDFText_GetTextIndexFromCharIndex,
)

from proxy.text.extraction import MAX_CHARACTERS, Extraction, found

MAX_PAGES: Final = 5_000
_LOCKED: Final = frozenset({FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY})
_PDFIUM: Final = Lock()  # PDFium serves one thread at a time
_OBJECT: Final = re.compile(rb"(\d{1,10})\s+(\d{1,5})\s*$")
# U+FFFE is a hyphen at the end of a line, with the next line behind it; elsewhere a character without name.
_HYPHEN: Final = re.compile("(?<=\\w)\ufffe(?=\\w)")


def read(file: BinaryIO) -> Extraction:
    """Returns the pages' texts, joined by form feeds (CONTRACT N12).

    "damaged": no page can be found. "encrypted": a password other than the empty one is needed. "empty":
    no text, as in a scan. A file that is readable in part is "text".
    """
    data = file.read()
    with _PDFIUM:
        extraction = _extracted(data)
        return _extracted(_rebuilt(data)) if extraction.outcome == "damaged" else extraction


def _extracted(data: bytes) -> Extraction:
    opened = FPDF_LoadMemDocument64(data, len(data), None)  # `data` must outlive it
    if not opened:
        return Extraction("encrypted" if FPDF_GetLastError() in _LOCKED else "damaged")
    with PdfDocument(opened) as document:
        texts = list(_texts(document))
    # Without a page count, the page tree is empty, or behind a filter or a cipher that PDFium lacks.
    if texts and all(text is None for text in texts):
        return Extraction("damaged")
    return found("\f".join(text or "" for text in texts))


def _rebuilt(data: bytes) -> bytes:
    """Returns the file without its cross references and with a trailer, so that PDFium looks for objects."""
    catalog = data.rfind(b"/Catalog")
    before = data.rfind(b"obj", 0, max(catalog, 0))
    numbers = _OBJECT.search(data[max(before - 32, 0) : max(before, 0)])
    trailer = b"\ntrailer<</Root %b %b R>>" % numbers.groups() if numbers else b""
    return data.replace(b"startxref", b"startxxxx") + trailer


def _texts(document: PdfDocument) -> Iterator[str | None]:
    """Yields each page's text, None for a page that cannot be read, up to the limits."""
    length = 0
    for number in range(min(len(document), MAX_PAGES)):
        text = _text(document, number)
        yield text
        length += len(text or "")
        if length > MAX_CHARACTERS:
            return


def _text(document: PdfDocument, number: int) -> str | None:
    try:
        with closing(document[number]) as page:
            return _words(page)
    except PdfiumError:
        return None


def _words(page: PdfPage) -> str:
    with closing(page.get_textpage()) as text:
        return _HYPHEN.sub("-\n", _characters(text)).replace("\ufffe", "").replace("\f", " ")


def _characters(text: PdfTextPage) -> str:
    """Returns all characters of a page.

    PdfTextPage.get_text_range would recurse at each character without text.
    """
    count = text.count_chars()
    indices = (FPDFText_GetTextIndexFromCharIndex(text, each) for each in range(count - 1, -1, -1))
    last = next((index for index in indices if index >= 0), -1)
    buffer = (c_ushort * (2 * (last + 2)))()  # an end, and surrogates
    units = FPDFText_GetText(text, 0, count, buffer) - 1
    return bytes(buffer)[: 2 * max(units, 0)].decode("utf-16-le", "replace")
