"""Computes an upper bound of a rate from what was counted (Clopper and Pearson's exact bound)."""

from math import exp, lgamma, log, log1p
from typing import Final

_STEPS: Final = 60
_NEGLIGIBLE: Final = 1e-14


def upper_bound(bad: int, seen: int, confidence: float = 0.95) -> float:
    """Returns the one-sided upper bound of the rate of bad ones.

    At a higher rate, so few bad ones would be a rare accident. Returns 1.0 if nothing was counted.
    """
    if bad >= seen:
        return 1.0
    low, high = bad / seen, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if at_most(bad, seen, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_most(bad: int, seen: int, rate: float) -> float:
    """Returns the probability of `bad` or fewer of `seen`, for a rate above bad / seen.

    Sums from the largest term down: each is smaller than the one before by a growing factor, so the sum ends
    long before its last term if there are millions.
    """
    if rate >= 1:
        return 0.0
    term = exp(_log_term(bad, seen, rate))
    total, odds = term, (1 - rate) / rate
    for count in range(bad, 0, -1):
        term *= count / (seen - count + 1) * odds
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return total


def _log_term(bad: int, seen: int, rate: float) -> float:
    ways = lgamma(seen + 1) - lgamma(bad + 1) - lgamma(seen - bad + 1)
    return ways + (bad * log(rate) if bad else 0.0) + (seen - bad) * log1p(-rate)
