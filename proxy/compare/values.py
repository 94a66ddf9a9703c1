"""Walks over both sides, value by value, and finds the differences."""

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias

from proxy.compare.bodies import Body, Text
from proxy.compare.canonical import Canonical, compared_type
from proxy.compare.differences import MAX_DIFFERENCES, MAX_OF_ONE, NOTHING, Difference, Kind, Leaf
from proxy.compare.rules import Position
from proxy.values import Json

_HASH_DIGITS: Final = 16


class _Absent:
    """Stands for the value of a field that a side does not have."""


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
            self._add("", "status", *(Leaf(str(each), None, None) for each in (control, candidate)))

    def content_types(self, control: str, candidate: str) -> None:
        if control != candidate:
            one, other = (Leaf("string", len(text), self._hash(text)) for text in (control, candidate))
            self._add("", "content-type", one, other)

    def bodies(self, root: Position, control: Body, candidate: Body) -> None:
        if not (isinstance(control, Text) and isinstance(candidate, Text)):
            self._values(root, control, candidate)
        elif not root.ignored and control != candidate:
            self._texts(root, control, candidate)

    def _texts(self, root: Position, control: Text, candidate: Text) -> None:
        if compared_type(root, control) != compared_type(root, candidate):
            self._differ(root, "type", control, candidate)
        elif not root.volatile:
            self._differ(root, "text", control, candidate)

    def _values(self, position: Position, control: Body, candidate: Body) -> None:
        if position.ignored or len(self.found) >= MAX_DIFFERENCES:
            return
        if compared_type(position, control) != compared_type(position, candidate):
            self._differ(position, "type", control, candidate)
        elif isinstance(control, dict) and isinstance(candidate, dict):
            self._objects(position, control, candidate)
        elif isinstance(control, list) and isinstance(candidate, list):
            self._arrays(position, control, candidate)
        elif not (position.volatile or _equal(control, candidate, position.tolerance)):
            self._differ(position, "value", control, candidate)

    def _objects(self, position: Position, control: dict[str, Json], candidate: dict[str, Json]) -> None:
        for key in sorted(control.keys() | candidate.keys()):
            below = position.child(key)
            if key in control and key in candidate:
                self._values(below, control[key], candidate[key])
            elif below.ignored:
                continue
            elif key in control:
                self._differ(below, "missing", control[key], _ABSENT)
            else:
                self._differ(below, "extra", _ABSENT, candidate[key])

    def _arrays(self, position: Position, control: list[Json], candidate: list[Json]) -> None:
        every = position.element
        before, after = ([self._canonical.of(every, each) for each in side] for side in (control, candidate))
        if len(before) != len(after):
            self._differ(position, "length", control, candidate)
        elif before != after and not every.ignored and sorted(before) == sorted(after):
            self._differ(position, "order", control, candidate)
            return
        for one, other, text, other_text in zip(control, candidate, before, after, strict=False):
            if text != other_text:
                self._values(every, one, other)

    def _differ(self, position: Position, kind: Kind, control: _Side, candidate: _Side) -> None:
        if self._room(position.path, kind):
            self._add(position.path, kind, self._leaf(position, control), self._leaf(position, candidate))

    def _room(self, path: str, kind: Kind) -> bool:
        return self._counts[path, kind] < MAX_OF_ONE and len(self.found) < MAX_DIFFERENCES

    def _add(self, path: str, kind: Kind, control: Leaf, candidate: Leaf) -> None:
        self._counts[path, kind] += 1
        self.found.append(Difference(path, kind, control, candidate))

    def _leaf(self, position: Position, value: _Side) -> Leaf:
        if isinstance(value, _Absent):
            return NOTHING
        kind = compared_type(position, value)
        if isinstance(value, Text):
            return Leaf(kind, len(value.text), self._hash(f"?{kind}" if position.volatile else value.text))
        length = len(value) if isinstance(value, str | list | dict) else None
        return Leaf(kind, length, self._hash(self._canonical.of(position, value)))

    def _hash(self, text: str) -> str:
        return self._digest(text)[:_HASH_DIGITS]


def _equal(control: Body, candidate: Body, percent: float) -> bool:
    """Returns whether two scalars of one type are equal within the tolerance; 1 and 1.0 are equal."""
    if control == candidate:
        return True
    if isinstance(control, bool) or not isinstance(control, int | float):
        return False
    return isinstance(candidate, int | float) and abs(candidate - control) <= abs(control) * (percent / 100)
