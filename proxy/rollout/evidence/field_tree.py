"""Puts differences into the order of a form: the whole answer, then each object with its fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.compare.paths import ELEMENT, parent
from proxy.rollout.evidence.differing import ShownDifference


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """The differences of the fields of one object or array; `path` is "" for the answer itself."""

    path: str
    depth: int
    fields: Sequence[tuple[str, ShownDifference]]


def field_tree(differences: Iterable[ShownDifference]) -> list[FieldGroup]:
    """Returns the groups by path, each with the names of its fields; of the whole answer the name is ""."""
    groups: dict[str, list[tuple[str, ShownDifference]]] = {}
    for each in sorted(differences, key=lambda one: (one.group.path, one.group.kind)):
        above = parent(each.group.path)
        groups.setdefault(above, []).append((_last(each.group.path), each))
    return [FieldGroup(path, _depth(path), fields) for path, fields in sorted(groups.items())]


def _last(path: str) -> str:
    return ELEMENT if path.endswith(ELEMENT) else path.rpartition(".")[2]


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0
