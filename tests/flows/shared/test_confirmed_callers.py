"""Callers whom users/me has just confirmed, and for how long that counts (N19)."""

from datetime import timedelta
from typing import Final

from proxy.flows.shared.confirmed_callers import ConfirmedCaller, ConfirmedCallers

QUARTER: Final = timedelta(minutes=15)


def callers(*fingerprints: str, most: int = 10) -> ConfirmedCallers:
    """Returns one caller for each fingerprint, each of a user of its own, at 0 s."""
    made = ConfirmedCallers(most)
    for each in fingerprints:
        made.remember(each, ConfirmedCaller(f"owner of {each}", f"entry of {each}", 0.0))
    return made


def known(among: ConfirmedCallers, *fingerprints: str, now: float = 1.0) -> list[str]:
    return [each for each in fingerprints if among.within(QUARTER, each, now)]


def test_callers_N19_are_confirmed_for_less_than_the_window_and_never_for_none() -> None:
    made = callers("a")
    assert known(made, "a", "b", now=899.9) == ["a"]
    assert known(made, "a", now=900.0) == []
    assert made.within(timedelta(0), "a", 0.0) is None


def test_callers_N19_are_forgotten_whatever_they_came_with() -> None:
    made = callers("a", "b")
    made.remember("a with another key", ConfirmedCaller("owner of a", "entry", 0.0))
    made.forget("owner of a")
    made.forget("owner of a")
    assert known(made, "a", "a with another key", "b") == ["b"]
    made.forget_all()
    assert known(made, "b") == []


def test_callers_N19_are_only_so_many_and_the_one_seen_last_stays() -> None:
    made = callers("a", "b", most=2)
    made.remember("a", ConfirmedCaller("owner of a", "entry", 1.0))
    made.remember("c", ConfirmedCaller("owner of c", "entry", 1.0))
    assert known(made, "a", "b", "c") == ["a", "c"]
    made.forget("owner of b")
    assert known(made, "a", "c") == ["a", "c"]
