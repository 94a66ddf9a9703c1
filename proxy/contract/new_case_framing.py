"""Checks N: forms that newCase can't take at all (CONTRACT N15, N16)."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, chosen, documented
from proxy.contract.probe import Probe
from proxy.contract.reply import Reply
from proxy.contract.routes import NEW_CASE
from proxy.contract.samples import BOUNDARY, EHR_FILE, FULL, MULTIPART, Part, form

_OVER_LIMIT: Final = 11 * 1024 * 1024


@documented("N15", NEW_CASE, "a form of 11 MB is answered 413", SHARED)
async def too_large(probe: Probe) -> None:
    # The ehr is broken, so that a host with a higher limit makes no case from it either.
    filler = Part("files", b"prueba " * (_OVER_LIMIT // 7), "largo.txt", "text/plain")
    body = form(filler, Part("ehr", b'{"name": "Prueba'))
    expect.text(await _sent(probe, MULTIPART, body), 413)


def _malformed() -> dict[str, tuple[str, bytes]]:
    """Returns a Content-Type and a body for each fault."""
    delimiter = f"--{BOUNDARY}".encode()
    nameless = FULL.replace(b'form-data; name="ehr"', b"form-data")
    many = form(EHR_FILE, *[Part("campo", b"1")] * 64)
    return {
        "it isn't multipart": ("application/json", EHR_FILE.content),
        "there is no boundary": ("multipart/form-data", FULL),
        "the boundary is another": ("multipart/form-data; boundary=otra", FULL),
        "the closing delimiter is missing": (MULTIPART, FULL.removesuffix(delimiter + b"--\r\n")),
        "it is cut within a part": (MULTIPART, FULL[:200]),
        "the delimiters have lost their dashes": (MULTIPART, FULL.replace(delimiter, delimiter[2:])),
        "a part has no name": (MULTIPART, nameless),
        "it has 65 parts": (MULTIPART, many),
        "a part header is over 4 KiB": (
            MULTIPART,
            form(EHR_FILE, Part("files", b"1", "n" * 5000, "text/plain")),
        ),
    }


@chosen("N16", NEW_CASE, "a malformed form is answered 400", SHARED)
async def malformed(probe: Probe) -> None:
    for when, (content_type, body) in _malformed().items():
        expect.text(await _sent(probe, content_type, body), 400, when=when)


@chosen("N16", NEW_CASE, "a body with a Content-Encoding is answered 415", SHARED)
async def encoded(probe: Probe) -> None:
    expect.text(await _sent(probe, MULTIPART, FULL, ("Content-Encoding", "gzip")), 415)


async def _sent(probe: Probe, content_type: str, body: bytes, *more: tuple[str, str]) -> Reply:
    lines: list[tuple[str, bytes | str]] = [*probe.identity().items(), ("Content-Type", content_type), *more]
    return await probe.raw(NEW_CASE.method, NEW_CASE.path(), lines, body)


CHECKS: Final = (too_large, malformed, encoded)
