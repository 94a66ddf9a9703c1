"""Says whose a connection is: a keyed hash of what makes a caller, never the values themselves."""

import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from proxy.headers import HeaderFields
from proxy.upstream.http1.answer_reader import Headers

# As they came, in each spelling that CONTRACT N06 knows.
_NAMES: Final = frozenset(
    {b"authorization", b"cookie", b"api_key", b"api-key", b"user_mail", b"user-mail", b"organization"}
)
_KEY: Final = secrets.token_bytes(32)  # what is kept in memory says nothing elsewhere


def caller_of(headers: Headers) -> bytes | None:
    """Returns whose a request with these headers is; None where it is nobody's."""
    fields = HeaderFields.of(headers)
    if _NAMES.isdisjoint(fields.names):
        return None
    said = [
        name + b":" + value for key, (name, value) in zip(fields.names, fields, strict=True) if key in _NAMES
    ]
    return hashed(said) if said else None


def hashed(values: Iterable[bytes]) -> bytes:
    """Returns the hash of values, in their order; none of them holds a line end."""
    return blake2b(b"\n".join(values), digest_size=16, key=_KEY).digest()
