"""Reads and writes JSON, by rules that either accept or refuse every input."""

import json
import math
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from proxy.values import Json

MAX_DEPTH: Final = 64
# The limit for clients: less than a tenth of what 10 MB can hold, and what a dense record of that size has.
# Each value takes a hundred bytes, and time in which no other client is served.
MAX_VALUES: Final = 350_000
_MAX_DIGITS: Final = 300  # every finite float has fewer; Python refuses integers of 4301 digits or more

# Neither pattern tries the same bytes twice: an unterminated string runs to the end, a number is only
# tried at its first digit. Otherwise a few megabytes of escaped quotes would take hours.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_LONG_NUMBER: Final = b"0" * (_MAX_DIGITS + 1)
_DIGITS_AS_0: Final = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BRACKETS: Final = b"[{]}"
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_STEPS: Final = tuple(1 if byte in b"[{" else -1 for byte in range(256))


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for JSON that programs read in different ways (RFC 8259, sections 4 and 8.2).

    `repeated_keys` accepts a repeated key: its last value counts. `lone_surrogates` reads each one as U+FFFD.
    """

    repeated_keys: bool = False
    lone_surrogates: bool = False


STRICT: Final = Rules()
# For upstreams and webhooks (CONTRACT X03): a text that was cut inside an emoji must not lose a case.
ANSWER: Final = Rules(lone_surrogates=True)
# For an ehr (CONTRACT N08): converters from XML repeat a key for each of several elements.
RECORD: Final = Rules(repeated_keys=True, lone_surrogates=True)


class BadJson(Exception):
    """Bytes that are not acceptable JSON; `cause` is a short code, and none of the data is stored.

    Codes: not-utf8, syntax, too-deep, too-many-values, not-a-number, number-too-big, duplicate-key,
    lone-surrogate, not-an-object.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def load(
    data: bytes, *, rules: Rules = STRICT, max_depth: int = MAX_DEPTH, max_values: int | None = None
) -> Json:
    """Returns the value of one JSON text (RFC 8259) in UTF-8; skips a leading byte order mark.

    Raises BadJson, and nothing else, for any other bytes. Stricter than the standard library: no NaN or
    Infinity, at most `max_depth` levels and `max_values` values, at most 300 digits in a row, no number
    that overflows to infinity; and no repeated key and no lone surrogate, unless `rules` accept them. The
    caller limits the size.
    """
    text = _decoded(data)
    _check_structure(data, max_depth, max_values)
    value = _parsed(text, _LENIENT if rules.repeated_keys else _DECODER)
    return _readable(value, rules) if _SURROGATE_ESCAPE.search(data) else value


def load_object(data: bytes, *, rules: Rules = STRICT, max_values: int | None = None) -> dict[str, Json]:
    """Returns an object as `load` does; raises BadJson("not-an-object") for any other value."""
    value = load(data, rules=rules, max_values=max_values)
    if not isinstance(value, dict):
        raise BadJson("not-an-object")
    return value


def dump(value: Json) -> bytes:
    """Returns `value` as compact UTF-8 JSON, not ASCII-escaped; `load` gives the same value back."""
    return _ENCODER.encode(value).encode()


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadJson("not-utf8") from None


def _check_structure(data: bytes, max_depth: int, max_values: int | None) -> None:
    """Refuses JSON that would cost the parser its stack or quadratic time.

    Looks once at everything outside strings, or at less where counts alone rule both out.
    """
    opened, commas = data.count(b"[") + data.count(b"{"), data.count(b",")
    is_long = _has_long_number(data)
    if not is_long and opened <= max_depth and (max_values is None or opened + commas <= max_values):
        return
    bare = _STRING.sub(b'""', data)
    if max_values is not None and sum(map(bare.count, (b",", b"[", b"{"))) > max_values:
        raise BadJson("too-many-values")
    brackets = bare.translate(None, delete=_NOT_BRACKETS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > max_depth:
        raise BadJson("too-deep")
    if is_long and _has_long_number(bare):
        raise BadJson("number-too-big")


def _has_long_number(data: bytes) -> bool:
    return _LONG_NUMBER in data.translate(_DIGITS_AS_0)


def _parsed(text: str, decoder: json.JSONDecoder) -> Json:
    try:
        value: Json = decoder.decode(text)
    except (ValueError, RecursionError, MemoryError):
        raise BadJson("syntax") from None
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise BadJson("duplicate-key")
    return unique


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise BadJson("number-too-big")
    return number


def _no_constant(_name: str) -> Json:
    raise BadJson("not-a-number")


def _readable(value: Json, rules: Rules) -> Json:
    """Returns the value with U+FFFD for each lone surrogate, in keys too."""
    text = json.dumps(value, ensure_ascii=False)
    if not _SURROGATE.search(text):
        return value
    if not rules.lone_surrogates:
        raise BadJson("lone-surrogate")
    return _parsed(_SURROGATE.sub("\ufffd", text), _LENIENT)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_LENIENT: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)
