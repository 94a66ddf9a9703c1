"""Rejects requests that aiohttp accepts and we do not: odd HTTP versions, targets, ambiguous framing."""

import re
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, web

from proxy.headers import HeaderFields
from proxy.raw_headers import HOP_BY_HOP

# For all headers together, or for one: some clients send cookies and tokens of 20 KB.
MAX_HEAD: Final = 64 * 1024

# Origin form, or absolute form without a user (RFC 9112, section 3.2); a fragment is no part of a target.
_TARGET: Final = re.compile(r"(?:https?://[^/?#@]+)?(?:/[^#]*)?", re.IGNORECASE)

# Fields that decide where a request ends or how its connection continues, and the hop-by-hop ones.
_FRAMING: Final = HOP_BY_HOP | {b"content-length", b"host", b"expect"}
# CGI, WSGI and similar programs replace all of these characters in a field's name by one.
_FOLDED: Final = re.compile(rb"[^a-z0-9-]")


def fault(request: web.BaseRequest) -> str | None:
    """Returns the code of a parsed request's fault; None for a good request."""
    if request.version not in (HttpVersion10, HttpVersion11):
        return "version"
    if request.method == "CONNECT" or not request.raw_path or not _TARGET.fullmatch(request.raw_path):
        return "target"
    if not _is_framed(request):
        return "framing"
    fields = HeaderFields.of(request.raw_headers)
    if any(map(_is_disguised, fields.names)):
        return "disguised-field"
    # aiohttp quotes an unknown expectation in its own answer, and can't encode this one.
    if fields.has(b"expect") and not request.headers.get("Expect", "").isascii():
        return "expectation"
    if sum([len(name) + len(value) for name, value in fields]) > MAX_HEAD:
        return "head-too-large"
    return None


def _is_framed(request: web.BaseRequest) -> bool:
    """Returns whether every reader finds the same body.

    The only allowed coding is chunked, and HTTP/1.0 does not have it (RFC 9112, section 6.1).
    """
    codings = HeaderFields.of(request.raw_headers).values(b"transfer-encoding")
    if not codings:
        return True
    return request.version == HttpVersion11 and [each.lower() for each in codings] == [b"chunked"]


def _is_disguised(name: bytes) -> bool:
    """Returns whether another program could read this field as a framing field, because it folds names.

    `name` is in lower case.
    """
    return _FOLDED.search(name) is not None and _FOLDED.sub(b"-", name) in _FRAMING
