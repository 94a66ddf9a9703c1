"""Checks an answer: each function raises Mismatch when it fails, and quotes no value that isn't ours."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proxy import jsons
from proxy.contract.reply import Reply
from proxy.contract.verdicts import Mismatch
from proxy.headers import media_type
from proxy.values import Json

TEXT: Final = "text/plain; charset=utf-8"

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_ESCAPED: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[01])(?![dD][89a-fA-F])")
_SHOWN: Final = 80  # characters of a value of ours
_KEYS: Final = 300  # characters of an object's keys


@dataclass(frozen=True, slots=True)
class Kind:
    """A type that a JSON value may have, and its name in a report."""

    name: str
    fits: Callable[[Json], bool]


STRING: Final = Kind("a string", lambda value: isinstance(value, str))
FILLED: Final = Kind("a string that isn't empty", lambda value: isinstance(value, str) and bool(value))
INTEGER: Final = Kind("an integer", lambda value: type(value) is int)
COUNT: Final = Kind("an integer ≥ 0", lambda value: type(value) is int and value >= 0)
NUMBER: Final = Kind("a number", lambda value: type(value) in (int, float))
TIME: Final = Kind(
    "a time in RFC 3339, UTC", lambda value: isinstance(value, str) and bool(_TIME.fullmatch(value))
)
ANYTHING: Final = Kind("any JSON", lambda _: True)


def text(reply: Reply, status: int, sentence: str | None = None, *, when: str = "") -> None:
    """Checks for plain text of exactly this sentence, or of any when it is None.

    The reply of a success may be quoted: as plain text, it is a sentence about what we sent.
    """
    fits = sentence is None or reply.body == sentence.encode()
    if not fits or reply.status != status or _plain(reply.content_type) != _plain(TEXT):
        wanted = f"{status} {TEXT}" + ("" if sentence is None else f" {sentence!r}")
        raise Mismatch(_when(wanted, when), reply.described(ours=status == 200))


def status(reply: Reply, *wanted: int, when: str = "") -> None:
    if reply.status not in wanted:
        raise Mismatch(_when(" or ".join(map(str, wanted)), when), reply.described())


def json_value(reply: Reply, wanted: int = 200) -> Json:
    """Returns the answer's JSON: of this status, in UTF-8, not ASCII-escaped (CONTRACT, preamble)."""
    kind, options = media_type(reply.content_type)
    charset = options.get("charset", "utf-8").lower()
    if reply.status != wanted or kind != "application/json" or charset != "utf-8":
        raise Mismatch(f"{wanted} application/json", reply.described())
    if _ESCAPED.search(reply.body):
        raise Mismatch("JSON in UTF-8", "JSON with its letters escaped to ASCII")
    try:
        return jsons.load(reply.body)
    except jsons.BadJson as error:
        raise Mismatch("JSON", f"{len(reply.body)} bytes that are none ({error.cause})") from None


def json_object(reply: Reply, wanted: int = 200) -> dict[str, Json]:
    return mapping(json_value(reply, wanted), "the answer")


def objects(reply: Reply) -> list[dict[str, Json]]:
    """Returns a JSON array of objects."""
    value = json_value(reply)
    if not isinstance(value, list):
        raise Mismatch("a JSON array", name_of(value))
    return [mapping(each, "each element") for each in value]


def mapping(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Mismatch(f"{what} to be an object", name_of(value))
    return value


def exactly_keys(value: Mapping[str, Json], keys: set[str]) -> None:
    if value.keys() != keys:
        raise Mismatch(f"exactly the keys {', '.join(sorted(keys))}", keys_of(value))


def kinds(value: Mapping[str, Json], wanted: Mapping[str, Kind], *, of: str = "the answer") -> None:
    """Checks that the keys of `wanted` have values of their kinds; other keys don't matter."""
    for key, kind in wanted.items():
        if key not in value:
            raise Mismatch(f"{of} to have `{key}`", keys_of(value))
        if not kind.fits(value[key]):
            raise Mismatch(f"`{key}` of {of} to be {kind.name}", name_of(value[key]))


def same(came: Json, expected: Json, what: str) -> None:
    """Checks a value that was ours, so that it may be quoted."""
    if came != expected or type(came) is not type(expected):
        raise Mismatch(f"{what} {_shown(expected)}", _shown(came))


def true(fact: bool, expected: str, came: str) -> None:  # noqa: FBT001
    if not fact:
        raise Mismatch(expected, came)


def keys_of(value: Mapping[str, Json]) -> str:
    names = ", ".join(sorted(value))
    return f"the keys {names[:_KEYS] or 'none'}" + ("…" if len(names) > _KEYS else "")


def name_of(value: Json) -> str:
    """Returns a value's type without the value; of a number also its sign."""
    if isinstance(value, bool) or value is None:
        return jsons.dump(value).decode()
    if isinstance(value, int | float):
        kind = "integer" if isinstance(value, int) else "number with a fraction"
        return f"{kind} < 0" if value < 0 else f"{kind} ≥ 0"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    return "an array" if isinstance(value, list) else "an object"


def _plain(content_type: str) -> tuple[str, str]:
    kind, options = media_type(content_type)
    return kind, options.get("charset", "").lower()


def _shown(value: Json) -> str:
    text = jsons.dump(value).decode()
    return text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")


def _when(wanted: str, when: str) -> str:
    return f"{wanted} when {when}" if when else wanted
