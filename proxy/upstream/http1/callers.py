"""Identifies the caller of a connection by a keyed hash of the credentials, never by their values."""

import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from proxy.headers import HeaderFields
from proxy.upstream.http1.answer_reader import Headers

# Every spelling that CONTRACT N06 allows.
_NAMES: Final = frozenset(
    {b"authorization", b"cookie", b"api_key", b"api-key", b"user_mail", b"user-mail", b"organization"}
)
_KEY: Final = secrets.token_bytes(32)  # a hash is useless outside this process


def caller_of(headers: Headers) -> bytes | None:
    """Returns the caller of a request with these headers; None when they have no credentials."""
    fields = HeaderFields.of(headers)
    if _NAMES.isdisjoint(fields.names):
        return None
    said = [
        name + b":" + value for key, (name, value) in zip(fields.names, fields, strict=True) if key in _NAMES
    ]
    return hashed(said) if said else None


def hashed(values: Iterable[bytes]) -> bytes:
    """Returns the hash of values, in their order; no value may contain a line end."""
    return blake2b(b"\n".join(values), digest_size=16, key=_KEY).digest()
