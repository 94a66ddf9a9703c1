"""Selects the organizations of a canary: by percentage, and by name."""

from math import floor
from typing import Final

from proxy.mapping.moving import Canary

BUCKETS: Final = 10_000
_DIGITS: Final = 16  # 64 bits: no bucket is likelier than another by more than 1 in 10^15


def bucket(digest_hex: str) -> int:
    """Returns an organization's bucket, of BUCKETS, by its keyed hash; the same for ever, on every route."""
    return int(digest_hex[:_DIGITS], 16) % BUCKETS


def in_canary(organization: str, digest_hex: str, percent: float, canary: Canary) -> bool:
    """Returns whether the new side answers the organization; deny wins over allow, allow over the percentage.

    A higher percentage only adds organizations.
    """
    if organization in canary.deny:
        return False
    # Rounding comes first: 1.1 percent is 110.00000000000001 hundredths.
    below = floor(round(percent * BUCKETS / 100, 6))
    return organization in canary.allow or bucket(digest_hex) < below
