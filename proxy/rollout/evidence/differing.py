"""Reads the differences for an operator: how often each is, and the lines by which it would not count."""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from proxy.mapping.moving import Compare, is_field_path
from proxy.mapping.table import Table
from proxy.rollout.evidence.binomial import upper_bound
from proxy.rollout.evidence.gather import counted_mappings
from proxy.rollout.shadow.outcome import CONTROL_FAILED, DIFFERENCE, MATCH, dropped
from proxy.store import Store
from proxy.store.rollout.difference_groups import (
    DifferenceGroup,
    MappingSum,
    Wanted,
    grouped_differences,
    outcome_sums,
    position,
)
from proxy.store.rollout.switch_counts import COMPARED

# The mappings whose evidence is read: those that count now, or all; else one digest.
CURRENT: Final = "current"
EVERY: Final = "all"
# A stored path may be longer than this, and is cut then: no rule would fit it.
_LONGEST_PATH: Final = 299
_POSITION: Final = (int, str, str, str, str, str, str)
_FAILED: Final = dropped(CONTROL_FAILED)


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference with its share of the route's `comparisons` under the same mapping, and its bound.

    Both are in percent, the upper bound with 95 % confidence; `percent` is None without a comparison.
    """

    group: DifferenceGroup
    comparisons: int
    percent: float | None
    at_most_percent: float


@dataclass(frozen=True, slots=True)
class RouteSums:
    """The sums of a route's comparisons; `control_failed` are the calls in which the legacy server failed.

    `first_days` has, by the digests of the mappings that were read, the day of the first of these runs.
    """

    comparisons: int
    differing: int
    control_failed: int
    first_days: Mapping[str, date]


@dataclass(frozen=True, slots=True)
class DifferencesFound:
    """A page of differences, the most frequent first; `after` begins the next page, None at the end."""

    routes: Mapping[str, RouteSums]
    differences: Sequence[ShownDifference]
    after: str | None


class BadCursor(Exception):
    """An error: a text that no page of differences gave as the beginning of the next one."""


async def find_differences(
    store: Store,
    table: Table,
    *,
    route: str | None = None,
    mapping: str = CURRENT,
    limit: int = 100,
    after: str | None = None,
    since: datetime | None = None,
) -> DifferencesFound:
    """Returns the differences of one route or of all, by two queries. Raises BadCursor or StoreError."""
    routes = {name: each for name, each in table.routes.items() if route in (None, name)}
    digests = {digest for each in routes.values() for digest in counted_mappings(each)}
    mappings = {CURRENT: digests, EVERY: None}.get(mapping, {mapping})
    wanted = Wanted(routes, limit + 1, mappings, None if after is None else _position(after), since)
    groups = await grouped_differences(store.database, wanted)
    ends = await outcome_sums(store.database, routes, (*COMPARED, _FAILED.text))
    sums = [each for each in ends if mappings is None or each.mapping in mappings]
    compared = _compared(sums)
    return DifferencesFound(
        {name: _route_sums(name, sums) for name in routes},
        [_shown(each, compared[each.route, each.mapping]) for each in groups[:limit]],
        _cursor(groups[limit - 1]) if len(groups) > limit else None,
    )


def suggested_rules(compare: Compare, group: DifferenceGroup) -> dict[str, str]:
    """Returns, by rule, the line for the mapping's `[compare]` that would make the difference count no more.

    Each line holds what the mapping says already. Nothing is returned for what no rule can explain, such as a
    status.
    """
    path = group.path
    if group.kind in ("status", "content-type") or len(path) > _LONGEST_PATH or not is_field_path(path):
        return {}
    lines: dict[str, str] = {"ignore": f"ignore = {_array([*compare.ignore, path])}"}
    if group.kind in ("value", "text"):
        lines["volatile"] = f"volatile = {_array([*compare.volatile, path])}"
    if group.kind == "value" and group.control_type == group.candidate_type == "number":
        several = {**compare.tolerance, path: 1.0}
        lines["tolerance"] = "tolerance = {{ {} }}".format(
            ", ".join(f"{_quoted(name)} = {percent:g}" for name, percent in several.items())
        )
    return lines


def _compared(sums: Iterable[MappingSum]) -> Counter[tuple[str, str]]:
    """Returns the comparisons by route and mapping."""
    found: Counter[tuple[str, str]] = Counter()
    for each in sums:
        if each.outcome in COMPARED:
            found[each.route, each.mapping] += each.count
    return found


def _route_sums(route: str, sums: Iterable[MappingSum]) -> RouteSums:
    counts: Counter[str] = Counter()
    days: dict[str, date] = {}
    for each in sums:
        if each.route == route:
            counts[each.outcome] += each.count
            days[each.mapping] = min(each.first_day, days.get(each.mapping, each.first_day))
    differing = counts[DIFFERENCE.text]
    return RouteSums(counts[MATCH.text] + differing, differing, counts[_FAILED.text], days)


def _shown(group: DifferenceGroup, comparisons: int) -> ShownDifference:
    percent = min(100.0, 100 * group.count / comparisons) if comparisons else None
    return ShownDifference(group, comparisons, percent, 100 * upper_bound(group.count, comparisons))


def _cursor(group: DifferenceGroup) -> str:
    return base64.urlsafe_b64encode(json.dumps(position(group)).encode()).decode()


def _position(cursor: str) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise BadCursor from None
    if not isinstance(found, list) or [*map(type, found)] != [*_POSITION]:
        raise BadCursor
    return found


def _array(items: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, dict.fromkeys(items)))}]"


def _quoted(text: str) -> str:
    """Returns a TOML string; those of JSON without control characters are."""
    return json.dumps(text, ensure_ascii=False)
