"""The stored form of a difference, and of the values on its two sides."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "status", "content-type", "missing", "extra", "type", "value", "order", "length", "text"
]

MAX_DIFFERENCES: Final = 200
MAX_OF_ONE: Final = 10


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value in the form that may be stored.

    `length` is in characters, fields or elements; `hash` has 16 hex digits. `type` is null, bool, number,
    string, object, array, text (a body that isn't JSON), none (no value is there), at a volatile path the
    kind of a text (proxy.compare.paths.kind_of), or the code itself of a status.
    """

    type: str
    length: int | None
    hash: str | None


NOTHING: Final = Leaf("none", None, None)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: `missing` is in the control only, `extra` in the candidate only.

    The path of a status, of a content type and of the whole body is "".
    """

    path: str
    kind: Kind
    control: Leaf
    candidate: Leaf
