"""Request headers the sandbox judges: one value each, as text and as the bytes that came in."""

import re
import unicodedata
from typing import Final

from aiohttp import web

from proxy.sandbox.answers import Refused

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


def raw(request: web.Request, name: str) -> bytes | None:
    """The bytes of header `name`, None without one; Refused 400 when it comes more than once."""
    wanted = name.lower().encode()
    values = [value for key, value in request.raw_headers if key.lower() == wanted]
    if len(values) > 1:
        raise Refused(400, f"Header {name} is given more than once")
    return values[0].strip() if values else None


def text(request: web.Request, name: str) -> str | None:
    """Header `name` read as UTF-8, else Latin-1, in NFC; None when absent or empty."""
    value = raw(request, name)
    if not value:
        return None
    try:
        decoded = value.decode("utf-8")
    except UnicodeDecodeError:
        decoded = value.decode("latin1")
    return unicodedata.normalize("NFC", decoded)


def no_token(request: web.Request) -> bool:
    """Whether there is no `Authorization`, or one that is empty or a bare `Bearer` (CONTRACT N07)."""
    values = request.headers.getall("Authorization", [])
    return not values or (len(values) == 1 and values[0].strip().lower() in ("", "bearer"))


def bearer(request: web.Request) -> str | None:
    """The token of a well-formed `Authorization: Bearer`, else None."""
    values = request.headers.getall("Authorization", [])
    match = _BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
    return match[1] if match else None
