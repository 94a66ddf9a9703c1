"""Short texts that two values share exactly when they are no difference, tolerances aside."""

import json
from hashlib import blake2b
from typing import Final

from proxy.compare.bodies import Body, Text
from proxy.compare.rules import Place
from proxy.fields import kind_of, type_of
from proxy.values import Json

_BYTES: Final = 16
_quoted: Final = json.encoder.encode_basestring_ascii


def told_type(place: Place, value: Body) -> str:
    """The type that is compared at this place: at a volatile one, a text's kind."""
    text = value.text if isinstance(value, Text) else value
    if place.volatile and isinstance(text, str):
        return kind_of(text)
    return "text" if isinstance(value, Text) else type_of(value)


class Canonical:
    """Of objects and arrays a digest over their parts' own, made once: nesting costs nothing."""

    def __init__(self) -> None:
        # By identity, which is safe while the bodies live: the reader gives no object twice.
        self._made: dict[int, str] = {}

    def of(self, place: Place, value: Json) -> str:
        if isinstance(value, dict | list):
            made = self._made.get(id(value))
            if made is None:
                made = self._made[id(value)] = self._digest(place, value)
            return made
        return f"?{told_type(place, value)}" if place.volatile else _scalar(value)

    def _digest(self, place: Place, value: dict[str, Json] | list[Json]) -> str:
        if isinstance(value, dict):
            parts = [
                f"{_quoted(key)}:{self.of(below, value[key])}"
                for key in sorted(value)
                if not (below := place.child(key)).ignored
            ]
        else:
            every = place.element
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
