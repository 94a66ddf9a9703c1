"""Finds an operator by their token, in a time that says nothing about the tokens."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal

from proxy.headers import HeaderFields, RawHeaders
from proxy.settings import OperatorToken

# More than a token of RFC 6750: a setting may hold any visible character.
_BEARER: Final = re.compile(rb"bearer +([\x21-\x7e]+)", re.IGNORECASE)

Fault = Literal["missing", "malformed", "unknown"]


class BadLogin(Exception):
    """The request has no operator's token; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator; one whose token `reads_only` changes nothing. `token_hash` is the token's SHA-256."""

    name: str
    reads_only: bool
    token_hash: bytes = field(repr=False)


class OperatorTokens:
    """Operators by their tokens; only the tokens' hashes are held."""

    def __init__(self, tokens: Mapping[str, OperatorToken]) -> None:
        self._operators = [
            Operator(name, each.reads_only, _hash(each.secret.get_secret_value().encode()))
            for name, each in tokens.items()
        ]

    def __bool__(self) -> bool:
        return bool(self._operators)

    def owner(self, raw_headers: RawHeaders) -> Operator:
        """Returns the operator; raises BadLogin for anything but one token of theirs."""
        values = [value.strip(b" \t") for value in HeaderFields.of(raw_headers).values(b"authorization")]
        if not values:
            raise BadLogin("missing")
        match = _BEARER.fullmatch(values[0])
        if len(values) > 1 or match is None:
            raise BadLogin("malformed")
        return self.of_token(match[1])

    def of_token(self, token: bytes) -> Operator:
        """Returns the operator who has this token; raises BadLogin if there is none."""
        given = _hash(token)
        # Every token is compared, also after a match.
        fitting = [each for each in self._operators if hmac.compare_digest(each.token_hash, given)]
        if not fitting:
            raise BadLogin("unknown")
        return fitting[0]

    def named(self, name: str) -> Operator | None:
        return next((each for each in self._operators if each.name == name), None)


def _hash(token: bytes) -> bytes:
    return sha256(token).digest()
