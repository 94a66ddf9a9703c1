"""Compares the answers of both sides with each other and with the mapping: findings, in plain sentences."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Final, Protocol

from proxy.compare.bodies import content_type
from proxy.headers import media_type
from proxy.rollout.evidence.expected import MappedAnswer
from proxy.rollout.evidence.findings import Fields, Finding, field_findings, times
from proxy.rollout.shadow.outcome import is_own_failure
from proxy.values import Side

_UNKNOWN: Final = MappedAnswer()


class Learned(Protocol):
    """A count of a side's answers of this status that had a value of this type at this path."""

    @property
    def route(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def count(self) -> int: ...


def findings(rows: Iterable[Learned], mapped: Mapping[str, MappedAnswer]) -> list[Finding]:
    """Returns the differences, route by route; a route without legacy answers has none.

    `mapped` is, by route, the answer's form by its mapping: a field in it is ours even if no answer of ours
    was seen. Only answers with a status of 2xx count for fields.
    """
    routes: defaultdict[str, tuple[list[Learned], list[Learned]]] = defaultdict(lambda: ([], []))
    for row in rows:
        routes[row.route][row.side == "new"].append(row)
    return [
        finding
        for route, (legacy, new) in sorted(routes.items())
        if legacy
        for finding in _of_route(route, legacy, new, mapped.get(route, _UNKNOWN))
    ]


def _of_route(
    route: str, legacy: list[Learned], new: list[Learned], mapped: MappedAnswer
) -> Iterator[Finding]:
    ours, theirs = _content_types(new), _content_types(legacy)
    yield from _statuses(route, theirs, ours, mapped.statuses)
    for status in sorted(ours.keys() & theirs.keys()):
        if ours[status].keys() != theirs[status].keys():
            sentence = (
                f"With status {status} the legacy server sends {_each(theirs[status])}; "
                f"our side sends {_each(ours[status])}."
            )
            yield Finding(route, "content-type", "", sentence)
    if _fields(legacy) and (new or mapped.fields):
        yield from field_findings(route, _fields(legacy), _fields(new), mapped)


def _statuses(
    route: str,
    legacy: Mapping[int, Counter[str]],
    new: Mapping[int, Counter[str]],
    possible: Set[int],
) -> Iterator[Finding]:
    """Yields the statuses that one side never gave; nothing if nothing is known about our side."""
    sides = (("The legacy server", legacy, new, "our side"), ("Our side", new, legacy, "the legacy server"))
    for who, own, other, whom in sides if new or possible else ():
        spared = possible if own is legacy else frozenset()
        for status in sorted(own.keys() - other.keys() - spared):
            if own is legacy and is_own_failure(status):
                said = f"The legacy server itself failed with status {status} ({times(own[status].total())})."
                yield Finding(route, "control-failed", "", f"{said} That is no difference.")
                continue
            said = f"{who} answered with status {status} ({times(own[status].total())}); {whom} never did."
            yield Finding(route, "status", "", said)


def _content_types(rows: Iterable[Learned]) -> dict[int, Counter[str]]:
    """Returns by status how many answers had which content type: each answer has the path "" once."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.path == "":
            found[row.status][_normal(row.content_type)] += row.count
    return dict(found)


def _fields(rows: Iterable[Learned]) -> Fields:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.status // 100 == 2:
            found[row.path][row.type] += row.count
    return dict(found)


def _normal(value: str) -> str:
    return content_type(value) if media_type(value)[0] else "none that can be read"


def _each(counts: Counter[str]) -> str:
    return ", ".join(f"{what} ({times(count)})" for what, count in sorted(counts.items()))
