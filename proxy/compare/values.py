"""The walk over both sides, value by value, that finds the differences."""

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

from proxy.compare.bodies import Body, Text
from proxy.compare.canonical import Canonical, told_type
from proxy.compare.differences import MAX_DIFFERENCES, MAX_OF_ONE, NOTHING, Difference, Kind, Leaf
from proxy.compare.rules import Place
from proxy.values import Json

_HASH_DIGITS: Final = 16


class _Absent:
    """What a side has where it has no such field."""


_ABSENT: Final = _Absent()
_Side: TypeAlias = "Body | _Absent"


class Comparison:
    """One comparison; `found` are its differences so far."""

    def __init__(self, digest: Callable[[str], str]) -> None:
        self.found: list[Difference] = []
        self._digest = digest
        self._counts: Counter[tuple[str, Kind]] = Counter()
        self._canonical = Canonical()

    def statuses(self, control: int, candidate: int) -> None:
        if control != candidate:
            self._add(
                "", "status", *(Leaf("number", None, self._hash(str(each))) for each in (control, candidate))
            )

    def content_types(self, control: str, candidate: str) -> None:
        if control != candidate:
            one, other = (Leaf("string", len(text), self._hash(text)) for text in (control, candidate))
            self._add("", "content-type", one, other)

    def bodies(self, root: Place, control: Body, candidate: Body) -> None:
        if not (isinstance(control, Text) and isinstance(candidate, Text)):
            self._values(root, control, candidate)
        elif not root.ignored and control != candidate:
            self._texts(root, control, candidate)

    def _texts(self, root: Place, control: Text, candidate: Text) -> None:
        if told_type(root, control) != told_type(root, candidate):
            self._differ(root, "type", control, candidate)
        elif not root.volatile:
            self._differ(root, "text", control, candidate)

    def _values(self, place: Place, control: Body, candidate: Body) -> None:
        if place.ignored or len(self.found) >= MAX_DIFFERENCES:
            return
        if told_type(place, control) != told_type(place, candidate):
            self._differ(place, "type", control, candidate)
        elif isinstance(control, dict) and isinstance(candidate, dict):
            self._objects(place, control, candidate)
        elif isinstance(control, list) and isinstance(candidate, list):
            self._arrays(place, control, candidate)
        elif not (place.volatile or _equal(control, candidate, place.tolerance)):
            self._differ(place, "value", control, candidate)

    def _objects(self, place: Place, control: dict[str, Json], candidate: dict[str, Json]) -> None:
        for key in sorted(control.keys() | candidate.keys()):
            below = place.child(key)
            if key in control and key in candidate:
                self._values(below, control[key], candidate[key])
            elif below.ignored:
                continue
            elif key in control:
                self._differ(below, "missing", control[key], _ABSENT)
            else:
                self._differ(below, "extra", _ABSENT, candidate[key])

    def _arrays(self, place: Place, control: list[Json], candidate: list[Json]) -> None:
        every = place.element
        before, after = ([self._canonical.of(every, each) for each in side] for side in (control, candidate))
        if len(before) != len(after):
            self._differ(place, "length", control, candidate)
        elif before != after and not every.ignored and sorted(before) == sorted(after):
            self._differ(place, "order", control, candidate)
            return
        for one, other, text, other_text in zip(control, candidate, before, after, strict=False):
            if text != other_text:
                self._values(every, one, other)

    def _differ(self, place: Place, kind: Kind, control: _Side, candidate: _Side) -> None:
        if self._room(place.path, kind):
            self._add(place.path, kind, self._leaf(place, control), self._leaf(place, candidate))

    def _room(self, path: str, kind: Kind) -> bool:
        return self._counts[path, kind] < MAX_OF_ONE and len(self.found) < MAX_DIFFERENCES

    def _add(self, path: str, kind: Kind, control: Leaf, candidate: Leaf) -> None:
        self._counts[path, kind] += 1
        self.found.append(Difference(path, kind, control, candidate))

    def _leaf(self, place: Place, value: _Side) -> Leaf:
        if isinstance(value, _Absent):
            return NOTHING
        told = told_type(place, value)
        if isinstance(value, Text):
            return Leaf(told, len(value.text), self._hash(f"?{told}" if place.volatile else value.text))
        length = len(value) if isinstance(value, str | list | dict) else None
        return Leaf(told, length, self._hash(self._canonical.of(place, value)))

    def _hash(self, text: str) -> str:
        return self._digest(text)[:_HASH_DIGITS]


def _equal(control: Body, candidate: Body, percent: float) -> bool:
    """Of two scalars of one type; 1 and 1.0 are equal."""
    if control == candidate:
        return True
    if isinstance(control, bool) or not isinstance(control, int | float):
        return False
    return isinstance(candidate, int | float) and abs(candidate - control) <= abs(control) * (percent / 100)
