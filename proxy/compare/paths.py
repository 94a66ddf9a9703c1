"""Describes a JSON value without its data: its type, the kind of its text, the path of its position.

A path is `document.username` or `[].Input.documents[].name`: keys with dots between them, `[]` for any
element, "" for the whole. In a key `.`, `[`, `]`, `*` and `%` are written as in URLs (`a.b` is `a%2Eb`)
and the empty key is a bare `%`, so that one path has one meaning. A key that looks like data rather than
like a field's name is written as `*`: an object may be keyed by patients.
"""

import re
from typing import Final, Literal, TypeAlias

from proxy.values import Json

Type: TypeAlias = Literal["null", "bool", "number", "string", "object", "array"]

ELEMENT: Final = "[]"
_DATA: Final = "*"
_LONGEST_NAME: Final = 64

# The first match counts: a digest made of digits alone is a digest, not a numeral.
_KINDS: Final = tuple(
    (kind, re.compile(pattern, re.ASCII | re.IGNORECASE))
    for kind, pattern in (
        ("empty", r""),
        ("uuid", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        ("jwt", r"eyJ[\w-]*\.[\w-]+\.[\w-]*"),
        ("time", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
        ("digest", r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}"),
        ("numeral", r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?"),
        # A digit is not required: now and then a random token has none.
        ("token", r"[\w.~+/=-]{16,}"),
    )
)
_NO_NAME: Final = frozenset({"uuid", "jwt", "time", "digest", "numeral"})
_LIKE_DATA: Final = re.compile(r"[@\s]|\d{6}|\d{4}-\d\d-\d\d")
_SYNTAX: Final = re.compile(r"[.\[\]*%]")


def type_of(value: Json) -> Type:
    """Returns the JSON type; integers and other numbers are one type."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"


def kind_of(text: str) -> str:
    """Returns the kind of a text: uuid, jwt, time, digest, numeral, token, empty, or any other string."""
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), "string")


def child(path: str, key: str) -> str:
    """Returns the path of a field of the object at `path`."""
    return f"{path}.{_name(key)}" if path else _name(key)


def element(path: str) -> str:
    """Returns the path of every element of the array at `path`."""
    return path + ELEMENT


def parent(path: str) -> str:
    """Returns the path of the object or array that holds the value at `path`; "" for the whole, too."""
    return path.removesuffix(ELEMENT) if path.endswith(ELEMENT) else path.rpartition(".")[0]


def _name(key: str) -> str:
    if len(key) > _LONGEST_NAME or not key.isprintable() or _LIKE_DATA.search(key):
        return _DATA
    if kind_of(key) in _NO_NAME:
        return _DATA
    return _SYNTAX.sub(lambda sign: f"%{ord(sign[0]):02X}", key) or "%"


def means_json(media_type: str) -> bool:
    """Returns whether a media type, in lower case and without parameters, is one of JSON."""
    return media_type == "application/json" or media_type.endswith("+json")
