"""newCase forms with a PDF; apart from the other bodies, since what makes one takes long to import."""

from functools import cache

from tests.bench.bodies import EHR, KB, TALK, Part, form
from tests.samples import long_pages, pdf


@cache
def page_form() -> bytes:
    """Returns a newCase form with a one-page PDF of 20 KB: bytes behind its end stand for its fonts."""
    page = pdf(long_pages(1, {}))
    return form([TALK, EHR, Part("files", page.ljust(20 * KB, b"\n"), "informe.pdf", "application/pdf")])


@cache
def long_form(pages: int) -> bytes:
    """Returns a newCase form with a PDF of so many pages."""
    return form([TALK, EHR, Part("files", pdf(long_pages(pages, {})), "historia.pdf", "application/pdf")])
