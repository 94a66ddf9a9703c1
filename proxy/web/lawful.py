"""What aiohttp lets pass and no handler may see: odd versions, targets and framing."""

import re
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, web

from proxy.headers import HeaderFields
from proxy.upstream.raw import HOP_BY_HOP

# Of all headers together, or of one: cookies and tokens of 20 KB are out there.
MAX_HEAD: Final = 64 * 1024

# Origin form, or absolute form without a user (RFC 9112, section 3.2); a fragment is no part of a target.
_TARGET: Final = re.compile(r"(?:https?://[^/?#@]+)?(?:/[^#]*)?", re.IGNORECASE)

# Fields that say where a request ends or how its connection goes on, beside the hop-by-hop ones.
_FRAMING: Final = HOP_BY_HOP | {b"content-length", b"host", b"expect"}
# What CGI, WSGI and their like fold to one sign in a field's name.
_FOLDED: Final = re.compile(rb"[^a-z0-9-]")


def fault(request: web.BaseRequest) -> str | None:
    """What is wrong with a request that could be read, as a code; None for nothing."""
    if request.version not in (HttpVersion10, HttpVersion11):
        return "version"
    if request.method == "CONNECT" or not request.raw_path or not _TARGET.fullmatch(request.raw_path):
        return "target"
    if not _is_framed(request):
        return "framing"
    fields = HeaderFields.of(request.raw_headers)
    if any(map(_is_disguised, fields.names)):
        return "disguised-field"
    # aiohttp puts what it doesn't know into an answer of its own, and can't encode this one.
    if fields.has(b"expect") and not request.headers.get("Expect", "").isascii():
        return "expectation"
    if sum([len(name) + len(value) for name, value in fields]) > MAX_HEAD:
        return "head-too-large"
    return None


def _is_framed(request: web.BaseRequest) -> bool:
    """Whether everybody finds the same body: chunks are the only coding, and HTTP/1.0 doesn't know them
    (RFC 9112, section 6.1)."""
    codings = HeaderFields.of(request.raw_headers).values(b"transfer-encoding")
    if not codings:
        return True
    return request.version == HttpVersion11 and [each.lower() for each in codings] == [b"chunked"]


def _is_disguised(name: bytes) -> bool:
    """Returns whether a program that folds names reads a framing field where this proxy reads another one;
    `name` in lower case."""
    return _FOLDED.search(name) is not None and _FOLDED.sub(b"-", name) in _FRAMING
