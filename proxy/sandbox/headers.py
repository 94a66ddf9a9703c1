"""Reads the request headers that the sandbox checks: one value each, as text and as the received bytes."""

import re
import unicodedata
from typing import Final

from aiohttp import web

from proxy.sandbox.answers import Refused

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)


def raw(request: web.Request, name: str) -> bytes | None:
    """Returns the bytes of header `name`, None without one. Raises Refused 400 when it is repeated."""
    wanted = name.lower().encode()
    values = [value for key, value in request.raw_headers if key.lower() == wanted]
    if len(values) > 1:
        raise Refused(400, f"Header {name} is given more than once")
    return values[0].strip() if values else None


def text(request: web.Request, name: str) -> str | None:
    """Returns header `name` read as UTF-8, else Latin-1, in NFC; None when absent or empty."""
    value = raw(request, name)
    if not value:
        return None
    try:
        decoded = value.decode("utf-8")
    except UnicodeDecodeError:
        decoded = value.decode("latin1")
    return unicodedata.normalize("NFC", decoded)


def no_token(request: web.Request) -> bool:
    """Returns whether `Authorization` is missing, empty or a bare `Bearer` (CONTRACT N07)."""
    values = request.headers.getall("Authorization", [])
    return not values or (len(values) == 1 and values[0].strip().lower() in ("", "bearer"))


def bearer(request: web.Request) -> str | None:
    """Returns the token of a well-formed `Authorization: Bearer`, else None."""
    values = request.headers.getall("Authorization", [])
    match = _BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
    return match[1] if match else None
