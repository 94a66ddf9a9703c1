"""Turns a batch of observations into rows of counts, one for each key: pure, before anything is written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from proxy.compare import Difference, Leaf
from proxy.values import Side

Rows: TypeAlias = list[Mapping[str, Any]]

_LONGEST_PATH: Final = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a shadow run: "match", "difference", "dropped:<reason>" or "dry-run-failed:<cause>".

    `organization` is its keyed hash, "" when it is unknown. `mapping` is the digest of the route's mapping
    when it was sampled.
    """

    route: str
    organization: str
    outcome: str
    differences: tuple[Difference, ...] = ()
    mapping: str = ""


@dataclass(frozen=True, slots=True)
class SeenAnswer:
    """The structure of one answer: the paths of its leaves, each with its type."""

    route: str
    side: Side
    status: int
    content_type: str
    leaves: frozenset[tuple[str, str]]


def day_of(at: datetime) -> str:
    """Returns the day as it is stored, always of UTC."""
    return at.astimezone(UTC).date().isoformat()


def comparison_rows(outcomes: Iterable[Outcome], at: datetime) -> Rows:
    counts = Counter((each.route, each.organization, each.outcome, each.mapping) for each in outcomes)
    names = ("route", "organization", "outcome", "mapping")
    return [
        {"day": day_of(at), **dict(zip(names, key, strict=True)), "count": count}
        for key, count in counts.items()
    ]


def difference_rows(outcomes: Iterable[Outcome], at: datetime) -> Rows:
    """Returns the rows; `count` is the number of comparisons with the difference, the sample is the last."""
    counts: Counter[tuple[str, ...]] = Counter()
    samples: dict[tuple[str, ...], Any] = {}
    for outcome in outcomes:
        own = {_key(outcome, each): _sample(each) for each in outcome.differences}
        counts.update(own.keys())
        samples.update(own)
    names = ("route", "path", "kind", "control_type", "candidate_type", "mapping", "organization")
    return [
        {
            **dict(zip(names, key, strict=True)),
            "count": count,
            "sample": samples[key],
            "first_seen": at,
            "last_seen": at,
        }
        for key, count in counts.items()
    ]


def learned_rows(seen: Iterable[SeenAnswer], at: datetime) -> Rows:
    """Returns the rows; `count` is the number of answers with a leaf of this type at the path."""
    counts = Counter(
        (each.route, each.side, each.status, each.content_type, path, type_)
        for each in seen
        for path, type_ in {(path[:_LONGEST_PATH], type_) for path, type_ in each.leaves}
    )
    names = ("route", "side", "status", "content_type", "path", "type")
    return [
        {**dict(zip(names, key, strict=True)), "count": count, "first_seen": at, "last_seen": at}
        for key, count in counts.items()
    ]


def _key(outcome: Outcome, difference: Difference) -> tuple[str, ...]:
    types = difference.control.type, difference.candidate.type
    where = outcome.mapping, outcome.organization
    return outcome.route, difference.path[:_LONGEST_PATH], difference.kind, *types, *where


def _sample(difference: Difference) -> dict[str, Any]:
    return {"control": _measures(difference.control), "candidate": _measures(difference.candidate)}


def _measures(leaf: Leaf) -> dict[str, Any]:
    return {"length": leaf.length, "hash": leaf.hash}
