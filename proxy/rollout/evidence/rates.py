"""Computes percentiles and rates from the counts of the series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.rollout.evidence.binomial import upper_bound
from proxy.store.rollout.series import SeriesCounts
from proxy.store.sql.tables import LATENCY_BOUNDS

_LOWER: Final = (0, *LATENCY_BOUNDS)
_UPPER: Final = (*LATENCY_BOUNDS, LATENCY_BOUNDS[-1])  # the last bucket has no end: its beginning is shown


@dataclass(frozen=True, slots=True)
class DifferenceRate:
    """The share of comparisons with a difference, from 0 to 1, and its upper 95 % bound."""

    compared: int
    differing: int
    rate: float
    bound: float


def percentile(latencies: Sequence[int], share: float) -> float | None:
    """Returns the milliseconds within which this share of the answers came; None without an answer.

    `latencies` are counts by LATENCIES. Within a bucket the answers count as evenly spread. Of an answer that
    took longer than the last bound, only that bound is known.
    """
    total = sum(latencies)
    if not total:
        return None
    wanted, so_far = share * total, 0
    for lower, upper, count in zip(_LOWER, _UPPER, latencies, strict=True):
        if count and so_far + count >= wanted:
            return lower + (upper - lower) * (wanted - so_far) / count
        so_far += count
    return float(_UPPER[-1])


def error_rate(counts: SeriesCounts) -> float | None:
    """Returns the share of answers with a status of 500 or more, from 0 to 1; None without an answer."""
    return counts.errors / counts.count if counts.count else None


def difference_rate(counts: SeriesCounts) -> DifferenceRate | None:
    """Returns the rate of differences with its bound; None without a comparison."""
    compared, differing = counts.compared, counts.differing
    if not compared:
        return None
    return DifferenceRate(compared, differing, differing / compared, upper_bound(differing, compared))
