"""Computes an upper bound of a rate from what was counted (Clopper and Pearson's exact bound)."""

from math import exp, expm1, lgamma, log, log1p, sqrt
from typing import Final

_STEPS: Final = 100
_EXACT: Final = 1e-9
_NARROW: Final = 1e-12
_IMPOSSIBLE: Final = 750.0  # as the logarithm of the smallest number above 0
_NEGLIGIBLE: Final = 1e-14


def upper_bound(bad: int, seen: int, confidence: float = 0.95) -> float:
    """Returns the one-sided upper bound of the rate of bad ones.

    At a higher rate, so few bad ones would be a rare accident. Returns 1.0 if nothing was counted.
    """
    if bad >= seen:
        return 1.0
    wanted = log(1 - confidence)
    if not bad:
        return -expm1(wanted / seen)

    def excess(rate: float) -> float:
        chance = at_most(bad, seen, rate)
        return log(chance) - wanted if chance > 0 else -_IMPOSSIBLE

    low, high = bad / seen, min(1.0, (bad + 3 + 3 * sqrt(bad)) / seen)
    above, below = excess(low), excess(high)
    if below > 0:
        low, above, high, below = high, below, 1.0, -_IMPOSSIBLE
    # Illinois' method, with few steps: the logarithm is nearly straight. Each step costs a long sum.
    before = 0.0
    for _ in range(_STEPS):
        rate = (low * -below + high * above) / (above - below)
        found = excess(rate)
        if abs(found) < _EXACT or high - low < _NARROW * high:
            break
        same_side = found * before > 0
        if found > 0:
            low, above = rate, found
            below = below / 2 if same_side else below
        else:
            high, below = rate, found
            above = above / 2 if same_side else above
        before = found
    return rate


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
