"""What is no difference, and what of that is said about one path."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy import fields


@dataclass(frozen=True, slots=True)
class Rules:
    """Paths, each with all that stands below it; `tolerance` is in percent of the control's number."""

    ignore: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=dict)


class Place:
    """A path and what the rules say about it; made once, however many elements of an array share it."""

    def __init__(self, path: str, rules: Rules, above: "Place | None" = None) -> None:
        self.path = path
        self.ignored: bool = path in rules.ignore or (above is not None and above.ignored)
        self.volatile: bool = path in rules.volatile or (above is not None and above.volatile)
        self.tolerance: float = rules.tolerance.get(path, above.tolerance if above else 0.0)
        self._rules = rules
        self._children: dict[str, Place] = {}
        self._element: Place | None = None

    def child(self, key: str) -> "Place":
        known = self._children.get(key)
        if known is None:
            known = self._children[key] = Place(fields.child(self.path, key), self._rules, self)
        return known

    @property
    def element(self) -> "Place":
        if self._element is None:
            self._element = Place(fields.element(self.path), self._rules, self)
        return self._element
