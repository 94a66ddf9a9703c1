"""Compares the fields of both sides' answers: which side has which, their case, their types."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from proxy.compare.paths import ELEMENT, parent
from proxy.rollout.evidence.expected import MappedAnswer

FindingKind: TypeAlias = Literal[
    "only-legacy", "only-new", "casing", "type", "content-type", "status", "control-failed"
]
# By path, how many values of which type were seen; none for a field that only the mapping has.
Fields: TypeAlias = Mapping[str, Counter[str]]

_NEVER: Final[Counter[str]] = Counter()


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between the two sides' answers, as a sentence.

    `path` is the legacy server's if it has one; "" stands for the whole, a status and a content type.
    """

    route: str
    kind: FindingKind
    path: str
    sentence: str


def times(count: int) -> str:
    return "1 time" if count == 1 else f"{count:,} times"


def field_findings(route: str, legacy: Fields, new: Fields, mapped: MappedAnswer) -> Iterator[Finding]:
    """Yields the findings about fields; of a field that one side lacks, its contents are not reported."""
    ours = {path: new.get(path, _NEVER) for path in {"", *new, *mapped.fields}}
    twins = {path: path for path in legacy if path in ours} | _other_cases(legacy, ours)
    for path in sorted(legacy):
        if path in twins:
            yield from _same_field(route, path, twins[path], legacy[path], ours[twins[path]])
        elif _could_have(path, twins.get(parent(path)), ours):
            yield Finding(route, "only-legacy", path, f"Only the legacy server has {_field(path, legacy)}.")
    originals = {own: path for path, own in twins.items()}
    for path in sorted(ours.keys() - originals.keys()):
        unseen = path in mapped.optional and not ours[path]
        if not unseen and _could_have(path, originals.get(parent(path)), legacy):
            yield Finding(route, "only-new", path, f"Only our side has {_field(path, ours)}.")


def _other_cases(legacy: Fields, ours: Fields) -> dict[str, str]:
    """Maps each legacy path that we lack to our path of the same letters, if there is just one."""
    spelt: defaultdict[str, list[str]] = defaultdict(list)
    for path in ours.keys() - legacy.keys():
        spelt[path.lower()].append(path)
    candidates = ((path, spelt.get(path.lower(), [])) for path in legacy if path not in ours)
    return {path: found[0] for path, found in candidates if len(found) == 1}


def _same_field(
    route: str, path: str, own: str, theirs: Counter[str], ours: Counter[str]
) -> Iterator[Finding]:
    if _last(path) != _last(own):
        said = f"`{path}` of the legacy server is `{own}` on our side."
        yield Finding(route, "casing", path, said)
    if ours and theirs.keys() != ours.keys():
        what = f"`{path}`" if path else "The whole answer"
        said = f"{what} is {_types(theirs)} on the legacy server, and {_types(ours)} on our side."
        yield Finding(route, "type", path, said)


def _could_have(path: str, above: str | None, other: Fields) -> bool:
    """Returns whether the other side's lack of a field means something: it has the object around the field.

    An array that was always empty says nothing about its elements.
    """
    if path.endswith(ELEMENT) or above is None:
        return False
    if other[above]:
        return "object" in other[above]
    return any(parent(each) == above for each in other if each)


def _last(path: str) -> str:
    """Returns the last key; nothing for an array's elements, which have the array's name."""
    return "" if path.endswith(ELEMENT) else path.rpartition(".")[2]


def _field(path: str, side: Fields) -> str:
    return f"`{path}` ({_types(side[path])})" if side[path] else f"`{path}`"


def _types(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {times(count)}" for name, count in sorted(counts.items()))
