"""Finds an operator by their token, in a time that says nothing about the tokens."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal

from proxy.headers import HeaderFields, RawHeaders

# More than a token of RFC 6750: a setting may hold any visible character.
_BEARER: Final = re.compile(rb"bearer +([\x21-\x7e]+)", re.IGNORECASE)

Fault = Literal["missing", "malformed", "unknown"]


class BadLogin(Exception):
    """The request has no operator's token; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


class OperatorTokens:
    """Operators by their tokens; only the tokens' hashes are held."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._hashes = {name: _hash(token.encode()) for name, token in tokens.items()}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def owner(self, raw_headers: RawHeaders) -> str:
        """Returns the operator's name; raises BadLogin for anything but one token of theirs."""
        values = [value.strip(b" \t") for value in HeaderFields.of(raw_headers).values(b"authorization")]
        if not values:
            raise BadLogin("missing")
        match = _BEARER.fullmatch(values[0])
        if len(values) > 1 or match is None:
            raise BadLogin("malformed")
        return self._named(_hash(match[1]))

    def _named(self, given: bytes) -> str:
        # Every token is compared, also after a match.
        fitting = [name for name, own in self._hashes.items() if hmac.compare_digest(own, given)]
        if not fitting:
            raise BadLogin("unknown")
        return fitting[0]


def _hash(token: bytes) -> bytes:
    return sha256(token).digest()
