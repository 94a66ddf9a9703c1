"""The organizations of a canary: a share of them that only grows, and some by name."""

import hashlib
import hmac
from typing import Final

import pytest

from proxy.mapping.moving import Canary
from proxy.rollout.canary import BUCKETS, bucket, in_canary

NOBODY: Final = Canary()
KEY: Final = b"a fixed key"
ORGANIZATIONS: Final = {
    name: hmac.digest(KEY, name.encode(), hashlib.sha256).hex()
    for name in (f"Clínica {number}" for number in range(10_000))
}


def held(percent: float, canary: Canary = NOBODY) -> set[str]:
    return {name for name, digest in ORGANIZATIONS.items() if in_canary(name, digest, percent, canary)}


@pytest.mark.parametrize("percent", [1, 5, 30, 50, 99])
def test_a_percentage_holds_its_share_of_ten_thousand_organizations_within_one_point(percent: int) -> None:
    assert abs(len(held(percent)) / 100 - percent) <= 1


def test_none_at_zero_and_all_at_a_hundred() -> None:
    assert held(0) == set()
    assert held(100) == set(ORGANIZATIONS)


def test_raising_the_percentage_moves_no_one_back() -> None:
    before: set[str] = set()
    for percent in (0, 0.01, 0.5, 1, 1.1, 5, 29.99, 30, 57, 99, 99.99, 100):
        now = held(percent)
        assert before <= now
        before = now


@pytest.mark.parametrize(
    ("percent", "below"),
    [(0.01, 1), (0.07, 7), (0.57, 57), (1.1, 110), (29.0, 2900), (12.346, 1234), (99.99, 9999)],
)
def test_a_percentage_is_exact_to_the_hundredth(percent: float, below: int) -> None:
    digests = [f"{number:016x}" for number in range(BUCKETS)]
    assert [in_canary("x", each, percent, NOBODY) for each in digests].count(True) == below


def test_an_organizations_bucket_is_the_same_for_ever() -> None:
    assert bucket("00000000000004d2" + "f" * 48) == 1234
    assert bucket(ORGANIZATIONS["Clínica 0"]) == 9691
    assert bucket("0" * 64) == 0
    assert {bucket(digest) for digest in ORGANIZATIONS.values()} <= set(range(BUCKETS))


def test_the_same_percentage_holds_the_same_organizations_again() -> None:
    assert held(30) == held(30)
    others = {
        name: hmac.digest(b"another key", name.encode(), hashlib.sha256).hex() for name in ORGANIZATIONS
    }
    assert {name for name, digest in others.items() if in_canary(name, digest, 30, NOBODY)} != held(30)


def test_deny_goes_over_allow_and_allow_over_the_percentage() -> None:
    canary = Canary(allow=["Clínica 1", "Clínica 2"], deny=["Clínica 2", "Clínica 3"])
    assert held(0, canary) == {"Clínica 1"}
    assert held(100, canary) == set(ORGANIZATIONS) - {"Clínica 2", "Clínica 3"}
