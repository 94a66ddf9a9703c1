"""Selects the organizations of a canary: by percentage, and by name."""

from math import floor
from typing import Final, Literal, TypeAlias

from proxy.mapping.moving import Canary

BUCKETS: Final = 10_000
_DIGITS: Final = 16  # 64 bits: no bucket is likelier than another by more than 1 in 10^15

CanaryRule: TypeAlias = Literal["allow", "deny", "percent"]


def bucket(digest_hex: str) -> int:
    """Returns an organization's bucket, of BUCKETS, by its keyed hash; the same for ever, on every route."""
    return int(digest_hex[:_DIGITS], 16) % BUCKETS


def canary_rule(organization: str | None, canary: Canary) -> CanaryRule:
    """Returns the rule that decides about the organization; deny wins over allow, allow over the percentage.

    `organization` is its legacy name, None where nobody knows it.
    """
    if organization in canary.deny:
        return "deny"
    return "allow" if organization in canary.allow else "percent"


def in_canary(organization: str | None, digest_hex: str, percent: float, canary: Canary) -> bool:
    """Returns whether the new side answers the organization.

    A higher percentage only adds organizations.
    """
    rule = canary_rule(organization, canary)
    if rule != "percent":
        return rule == "allow"
    # Rounding comes first: 1.1 percent is 110.00000000000001 hundredths.
    below = floor(round(percent * BUCKETS / 100, 6))
    return bucket(digest_hex) < below
