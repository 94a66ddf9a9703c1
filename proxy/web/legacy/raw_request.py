"""Makes the legacy server's request from a client's: the same bytes, without hop-by-hop fields."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion11, web

from proxy.errors import Refusal
from proxy.headers import HeaderFields
from proxy.raw_headers import end_to_end, expects_continue, replaced
from proxy.upstream.http1.callers import caller_of
from proxy.upstream.legacy.raw import RawRequest
from proxy.web.legacy.plan import Plan

VIA: Final = (b"Via", b"1.1 michiq-proxy")

_AUTHORIZATION: Final = frozenset({b"authorization"})
_EXPECT: Final = frozenset({b"expect"})

# Scheme and authority of a target in absolute form (RFC 9112, section 3.2.2).
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def raw_request(
    request: web.BaseRequest, pieces: Callable[[], AsyncIterator[bytes]], plan: Plan
) -> RawRequest:
    """Returns the request with the plan's changes, and with a body of `pieces` if it has a body."""
    came, authorization = HeaderFields.of(request.raw_headers), plan.authorization
    has_body, length = _framing(came)
    gone = plan.drop | _AUTHORIZATION if authorization == b"" else plan.drop
    if request.version < HttpVersion11:
        gone = gone | _EXPECT  # such a client does not wait for 100 (RFC 9110, section 10.1.1)
    headers = end_to_end(came, gone)
    if authorization:
        headers = replaced(headers, b"Authorization", authorization)
    return RawRequest(
        request.method.encode("ascii"),
        _target(request, plan),
        (*headers, VIA),
        pieces() if has_body else None,
        length,
        caller_of(came),
    )


def expects(request: web.BaseRequest) -> bool:
    """Returns whether the client waits for 100 Continue before it sends its body."""
    return expects_continue(request.raw_headers)


def _framing(fields: HeaderFields) -> tuple[bool, int | None]:
    """Returns whether there is a body, and its length. Raises Refusal when the framing is ambiguous."""
    lengths, codings = fields.values(b"content-length"), fields.values(b"transfer-encoding")
    if len(lengths) + len(codings) > 1 or any(coding.lower() != b"chunked" for coding in codings):
        raise Refusal("malformed", "framing")
    length = int(lengths[0]) if lengths else None
    return bool(codings or length), length


def _target(request: web.BaseRequest, plan: Plan) -> bytes:
    target = request.raw_path.encode("utf-8", "surrogateescape")
    if not target.startswith(b"/"):
        if match := _ABSOLUTE.match(target):
            target = target[match.end() :]
        target = target if target.startswith(b"/") else b"/" + target
    return target if plan.renamed is None else _renamed(target, *plan.renamed)


def _renamed(target: bytes, asked: str, spelling: str) -> bytes:
    """Returns the target with its id in another spelling; the rest is unchanged, including escapes."""
    path, mark, query = target.partition(b"?")
    same = asked.encode("ascii")
    segments = [
        spelling.encode("ascii") if unquote_to_bytes(each) == same else each for each in path.split(b"/")
    ]
    return b"/".join(segments) + mark + query
