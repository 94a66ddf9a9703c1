"""What is kept of a difference, and of the values on its two sides."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "status", "content-type", "missing", "extra", "type", "value", "order", "length", "text"
]

MAX_DIFFERENCES: Final = 200
MAX_OF_ONE: Final = 10


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value as it may be kept: `length` in characters, fields or elements, `hash` of 16 hex digits.

    `type` is null, bool, number, string, object, array, text (a body that isn't JSON), none (nothing is
    there), or at a volatile path the kind of a text (proxy.fields.kind_of).
    """

    type: str
    length: int | None
    hash: str | None


NOTHING: Final = Leaf("none", None, None)


@dataclass(frozen=True, slots=True)
class Difference:
    """`missing` is what only the control has, `extra` what only the candidate has.

    The path of a status, of a content type and of the whole body is "".
    """

    path: str
    kind: Kind
    control: Leaf
    candidate: Leaf
