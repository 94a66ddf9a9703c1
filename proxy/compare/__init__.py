"""Compares two legacy answers; a stored difference holds structure, never a value.

Rules name paths in the form of proxy.compare.paths, and a rule also covers everything below its path. The
path "" is the whole body, text or JSON. At a volatile path only types, the kinds of texts (which are then the
leaves' types) and the numbers of elements are compared. Arrays in another order are recognized by equal
elements: a number that is equal only within its tolerance makes them be compared element by element.

At most MAX_DIFFERENCES are returned, and MAX_OF_ONE of one kind at one path, so that a field that a thousand
elements lack leaves room for others. A list of full length may be incomplete.
"""

from collections.abc import Callable, Sequence

from proxy.compare.bodies import bodies, content_type
from proxy.compare.differences import MAX_DIFFERENCES, MAX_OF_ONE, Difference, Kind, Leaf
from proxy.compare.rules import CompareRules, Position
from proxy.compare.values import Comparison
from proxy.values import Answer

__all__ = ["MAX_DIFFERENCES", "MAX_OF_ONE", "CompareRules", "Difference", "Kind", "Leaf", "compare"]


def compare(
    control: Answer,
    candidate: Answer,
    rules: CompareRules,
    digest: Callable[[str], str],
    same: Sequence[tuple[str, str]] = (),
) -> list[Difference]:
    """Returns the differences that a client would see: status, content type, then the body's paths.

    `digest` is a keyed hash. `same` are pairs of a word of the control and the candidate's for the same
    thing, such as the ids of one case; within texts the candidate's word is read as the control's.
    """
    comparison = Comparison(digest)
    comparison.statuses(control.status, candidate.status)
    comparison.content_types(content_type(control.content_type), content_type(candidate.content_type))
    comparison.bodies(Position("", rules), *bodies(control, candidate, same))
    return comparison.found
