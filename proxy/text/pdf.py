"""Reads the text of a PDF, as far as its damage or its lock allows."""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, Final

from pypdf import PageObject, PdfReader
from pypdf.errors import FileNotDecryptedError, PyPdfError

from proxy.text.extraction import MAX_CHARACTERS, Extraction, found

MAX_PAGES: Final = 5_000
_HEADER: Final = b"%PDF-"
_HEADER_WITHIN: Final = 1024  # where readers look for it (ISO 32000-1, annex H.3.4.1)

# pypdf promises its own errors for sound files only; what it walks into in a broken one is any of these.
# MemoryError is left out on purpose: it must end the worker that it happens in.
_BROKEN: Final = (
    PyPdfError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class _Complaints(logging.Handler):
    """Swallows pypdf's log, which may quote the document, and counts streams that could not be decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.undecodable = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.undecodable += record.name == "pypdf.filters"


def read(file: BinaryIO) -> Extraction:
    """The pages' texts, joined by form feeds (CONTRACT N12).

    "damaged": no header in the first 1024 bytes, a structure that pypdf cannot repair, or no text because
    of pages or streams that cannot be decoded. "encrypted": a password other than the empty one is needed.
    "empty": sound, but without text, like a scan. A file that is readable in part is "text".
    """
    if _HEADER not in file.read(_HEADER_WITHIN):
        return Extraction("damaged")
    file.seek(0)
    with _listening() as complaints:
        try:
            reader = PdfReader(file)
            if reader.is_encrypted and not reader.decrypt(""):
                return Extraction("encrypted")
            return _judged(list(_texts(reader)), complaints)
        except (FileNotDecryptedError, NotImplementedError):  # the latter: an unknown security handler
            return Extraction("encrypted")
        except _BROKEN:
            return Extraction("damaged")


def _judged(texts: list[str | None], complaints: _Complaints) -> Extraction:
    extraction = found("\f".join(text or "" for text in texts))
    broken = not texts or None in texts or complaints.undecodable > 0
    return Extraction("damaged") if extraction.outcome == "empty" and broken else extraction


def _texts(reader: PdfReader) -> Iterator[str | None]:
    """Each page's text, None for a page that cannot be read, up to the limits."""
    length = 0
    for page in islice(reader.pages, MAX_PAGES):
        text = _text(page)
        yield text
        length += len(text or "")
        if length > MAX_CHARACTERS:
            return


def _text(page: PageObject) -> str | None:
    try:
        return page.extract_text().replace("\f", " ")
    except FileNotDecryptedError:
        raise
    except _BROKEN:
        return None


@contextmanager
def _listening() -> Iterator[_Complaints]:
    logger, complaints = logging.getLogger("pypdf"), _Complaints()
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(complaints)
    try:
        yield complaints
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagated
