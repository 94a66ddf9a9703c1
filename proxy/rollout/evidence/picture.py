"""Gathers what a chart of a route shows: the series in parts of time, and the changes of modes in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, TypeVar

from proxy.modes import Override
from proxy.rollout.evidence.rates import DifferenceRate, difference_rate
from proxy.store import Store
from proxy.store.rollout.series import HOUR, LIVES, MINUTE, Point, SeriesCounts, Span

Step: TypeAlias = Literal[60, 3600]
K = TypeVar("K")

MOST_PARTS: Final = 300
_DIFFERENCE_PARTS: Final = 30
LONGEST: Final = LIVES[HOUR]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 24 * HOUR
# The lengths of a part that people can read on an axis.
_WIDTHS: Final = (
    *(MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(HOUR * hours for hours in (1, 2, 3, 4, 6, 8, 12)),
    *(_DAY * days for days in (1, 2, 7, 14)),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """The series of a span: `points` by time, mode and side; `sides` by time and side, `differences` by time.

    A part of the span without an answer has no entry. Differences are rare: theirs are wider parts, of
    `differences_width` seconds. `changes` are those of the modes, oldest first.
    """

    span: Span
    points: Sequence[Point]
    sides: Sequence[tuple[datetime, str, SeriesCounts]]
    differences: Sequence[tuple[datetime, DifferenceRate]]
    differences_width: int
    changes: Sequence[Override]


def fitting(
    since: datetime, until: datetime, now: datetime, step: Step | None = None, parts: int = MOST_PARTS
) -> Span:
    """Returns the span in about as many `parts` at most.

    Unless a `step` is asked for, it is read from minutes while these are stored for the whole span, else from
    hours. It begins at a part's beginning, `since` or a little before. `since` must be before `until`, by at
    most LONGEST.
    """
    chosen = step or (MINUTE if since >= now - LIVES[MINUTE] else HOUR)
    width = max(chosen, _width(until - since, parts))
    return Span(_floor(since, width), until, chosen, width)


async def picture(store: Store, routes: Sequence[str], span: Span, *, route: str | None) -> Picture:
    """Returns the picture of one route, or of all `routes` together. Raises StoreError."""
    points = await store.series.points(routes if route is None else [route], span)
    changes = await store.overrides.between(span.since, span.until, route=route)
    sides = added_up(((at, side), counts) for _, at, _, side, counts in points if counts.count)
    length = span.until - span.since - timedelta(seconds=span.width)  # the first part is a little longer
    wide = max(span.width, _width(length, _DIFFERENCE_PARTS))
    sums = added_up((_floor(each.at, wide), each.counts) for each in points)
    rates = ((at, difference_rate(counts)) for at, counts in sums)
    return Picture(
        span=span,
        points=points,
        sides=[(at, side, counts) for (at, side), counts in sides],
        differences=[(at, rate) for at, rate in rates if rate is not None],
        differences_width=wide,
        changes=changes,
    )


def _width(length: timedelta, parts: int) -> int:
    """Returns the length in seconds of one of so many parts, or a little more."""
    return next(each for each in _WIDTHS if each >= length.total_seconds() / parts)


def _floor(at: datetime, width: int) -> datetime:
    return at - (at - _EPOCH) % timedelta(seconds=width)


def added_up(keyed: Iterable[tuple[K, SeriesCounts]]) -> list[tuple[K, SeriesCounts]]:
    """Returns the sum under each key, in the order in which the keys come first."""
    sums: dict[K, SeriesCounts] = {}
    for key, counts in keyed:
        sums.setdefault(key, SeriesCounts()).add(counts)
    return [*sums.items()]
