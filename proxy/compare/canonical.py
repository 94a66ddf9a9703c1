"""Makes short texts that two values share exactly when they do not differ, tolerances aside."""

import json
from hashlib import blake2b
from typing import Final

from proxy.compare.bodies import Body, Text
from proxy.compare.paths import kind_of, type_of
from proxy.compare.rules import Position
from proxy.values import Json

_BYTES: Final = 16
_quoted: Final = json.encoder.encode_basestring_ascii


def compared_type(position: Position, value: Body) -> str:
    """Returns the type that is compared at this position: at a volatile one, a text's kind."""
    text = value.text if isinstance(value, Text) else value
    if position.volatile and isinstance(text, str):
        return kind_of(text)
    return "text" if isinstance(value, Text) else type_of(value)


class Canonical:
    """Makes canonical texts; an object's or array's is a digest over its parts', made only once."""

    def __init__(self) -> None:
        # By identity, which is safe while the bodies live: the JSON reader returns no object twice.
        self._made: dict[int, str] = {}

    def of(self, position: Position, value: Json) -> str:
        if isinstance(value, dict | list):
            made = self._made.get(id(value))
            if made is None:
                made = self._made[id(value)] = self._digest(position, value)
            return made
        return f"?{compared_type(position, value)}" if position.volatile else _scalar(value)

    def _digest(self, position: Position, value: dict[str, Json] | list[Json]) -> str:
        if isinstance(value, dict):
            parts = [
                f"{_quoted(key)}:{self.of(below, value[key])}"
                for key in sorted(value)
                if not (below := position.child(key)).ignored
            ]
        else:
            every = position.element
            parts = ["?" if every.ignored else self.of(every, each) for each in value]
        # No part holds a bare comma, so no two lists of parts collide.
        text = f"{type_of(value)}{','.join(parts)}"
        return f"#{blake2b(text.encode('ascii'), digest_size=_BYTES).hexdigest()}"


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)
