"""The rules for differences that do not count, and their meaning for one path."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.compare import paths


@dataclass(frozen=True, slots=True)
class CompareRules:
    """Paths, each with everything below it; `tolerance` is in percent of the control's number."""

    ignore: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=dict)


class Position:
    """A position in a body: its path and its rules; made once for all elements of an array."""

    def __init__(self, path: str, rules: CompareRules, above: "Position | None" = None) -> None:
        self.path = path
        self.ignored: bool = path in rules.ignore or (above is not None and above.ignored)
        self.volatile: bool = path in rules.volatile or (above is not None and above.volatile)
        self.tolerance: float = rules.tolerance.get(path, above.tolerance if above else 0.0)
        self._rules = rules
        self._children: dict[str, Position] = {}
        self._element: Position | None = None

    def child(self, key: str) -> "Position":
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = Position(paths.child(self.path, key), self._rules, self)
        return found

    @property
    def element(self) -> "Position":
        if self._element is None:
            self._element = Position(paths.element(self.path), self._rules, self)
        return self._element
