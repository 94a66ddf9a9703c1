"""The form of our answers by their mapping, before any answer was seen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.compare.paths import child
from proxy.mapping.shape import WHEN_KNOWN, Tree

_SUCCESS: Final = 200


@dataclass(frozen=True, slots=True)
class MappedAnswer:
    """Paths of our answer, in `optional` those that may be left out; and the statuses that it may have."""

    fields: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()


def mapped_answer(tree: "str | Tree", statuses: Iterable[int], at: str = "") -> MappedAnswer:
    """Returns the paths of an answer table, and the statuses of success and errors.

    `at` is "[]" if the table shapes one element of a list.
    """
    paths = dict(_paths(tree, at, optional=False))
    optional = frozenset(path for path, may_lack in paths.items() if may_lack)
    return MappedAnswer(frozenset(paths), optional, frozenset({_SUCCESS, *statuses}))


def _paths(tree: "str | Tree", at: str, *, optional: bool) -> Iterator[tuple[str, bool]]:
    """Yields each path, and whether it may be left out."""
    yield at, optional
    for name, leaf in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(leaf, Mapping) and WHEN_KNOWN in leaf:
            yield from _paths(leaf[WHEN_KNOWN], child(at, name), optional=True)
        else:
            yield from _paths(leaf, child(at, name), optional=optional)
