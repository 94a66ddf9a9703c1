"""Percentiles within buckets of latencies, and rates of errors and differences."""

from typing import Final

import pytest

from proxy.rollout.evidence.rates import difference_rate, error_rate, percentile
from proxy.store.rollout.series import SeriesCounts
from proxy.store.sql.tables import LATENCIES

EMPTY: Final = [0] * len(LATENCIES)


def latencies(**counts: int) -> list[int]:
    return [counts.get(name, 0) for name in LATENCIES]


@pytest.mark.parametrize(
    ("counted", "share", "milliseconds"),
    [
        ({"ms_10": 4}, 0.5, 5),
        ({"ms_10": 4}, 1.0, 10),
        ({"ms_100": 2}, 0.5, 75),
        ({"ms_10": 50, "ms_100": 50}, 0.5, 10),
        ({"ms_10": 50, "ms_100": 50}, 0.95, 95),
        ({"ms_10": 1, "ms_more": 99}, 0.5, 30_000),
        ({"ms_30000": 10}, 0.0, 10_000),
    ],
    ids=str,
)
def test_a_percentile_is_interpolated_within_its_bucket(
    counted: dict[str, int], share: float, milliseconds: float
) -> None:
    assert percentile(latencies(**counted), share) == pytest.approx(milliseconds)


def test_without_an_answer_there_is_no_percentile_and_no_rate() -> None:
    assert percentile(EMPTY, 0.5) is None
    assert error_rate(SeriesCounts()) is None
    assert difference_rate(SeriesCounts(count=7)) is None


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(0, "ms_10"), (0.01, "ms_10"), (0.010001, "ms_25"), (30, "ms_30000"), (30.001, "ms_more")],
)
def test_an_answer_counts_in_the_bucket_that_it_did_not_exceed(seconds: float, name: str) -> None:
    counts = SeriesCounts()
    counts.answered(seconds, error=False)
    assert counts.latencies == latencies(**{name: 1})


def test_rates_are_shares_and_a_bound_goes_over_its_rate() -> None:
    assert error_rate(SeriesCounts(count=8, errors=2)) == 0.25
    rate = difference_rate(SeriesCounts(compared=300, differing=0))
    assert rate is not None
    assert rate.rate == 0
    assert rate.bound == pytest.approx(1 - 0.05 ** (1 / 300))
