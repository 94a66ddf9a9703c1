"""Stepping back: when the bad outcomes of a canary are too many within the window."""

import tracemalloc
from datetime import timedelta
from typing import Any, Literal

import pytest

from proxy.mapping.moving import StepBack
from proxy.rollout.evidence.readiness import Reason
from proxy.rollout.rollback_window import MAX_WINDOWS, StepBackWatch

RULES = StepBack.model_validate(
    {"max_error_percent": 10.0, "max_difference_percent": 50.0, "least": 10, "window": "60 s"}
)


def outcomes(
    watch: StepBackWatch,
    signs: str,
    *,
    at: float = 1000.0,
    step: float = 0.0,
    kind: Literal["error", "difference"] = "error",
    rules: StepBack = RULES,
    **where: Any,
) -> list[Reason | None]:
    """Returns the watch's reaction to each outcome: x is a bad one."""
    place = {"route": "r", "scope": "*", **where}
    return [
        watch.note(**place, bad=sign == "x", kind=kind, at=at + step * number, rules=rules)
        for number, sign in enumerate(signs)
    ]


def fired(said: list[Reason | None]) -> list[int]:
    return [number for number, reason in enumerate(said, start=1) if reason is not None]


@pytest.mark.parametrize(
    ("signs", "when"),
    [
        ("x" * 30, [10]),
        ("." * 30, []),
        ("x" + "." * 29, []),
        ("." * 18 + "xx" + "x", [21]),
        ("xx" + "." * 8, [10]),
        ("." * 9 + "x", []),
        ("." * 9 + "xx", [11]),
    ],
)
def test_it_fires_as_soon_as_the_share_passes_the_bound_and_enough_was_seen(
    signs: str, when: list[int]
) -> None:
    assert fired(outcomes(StepBackWatch(), signs)) == when


def test_after_a_change_of_the_override_it_counts_from_nothing() -> None:
    watch = StepBackWatch()
    assert fired(outcomes(watch, "x" * 9)) == []
    assert fired(outcomes(watch, "x" * 9, since=1)) == []
    assert fired(outcomes(watch, "x", since=1)) == [1]
    assert fired(outcomes(watch, "x" * 30, since=1)) == []
    assert fired(outcomes(watch, "x" * 10, since=2)) == [10]


def test_the_reason_has_the_figures() -> None:
    (reason,) = filter(None, outcomes(StepBackWatch(), "......xxxx"))
    assert reason == Reason(
        ok=False,
        sentence="Answers with a status of 500 or more in the last 60 s: 4 of 10, 40.0 %; 10 % are allowed.",
    )


def test_differences_have_a_bound_and_a_count_of_their_own() -> None:
    watch = StepBackWatch()
    assert fired(outcomes(watch, ".....xxxxx", kind="difference")) == []
    assert fired(outcomes(watch, "." * 9)) == []
    (reason,) = filter(None, outcomes(watch, "x", kind="difference"))
    assert "Comparisons with differences" in reason.sentence
    assert "6 of 11" in reason.sentence


def test_what_is_older_than_the_window_no_longer_counts() -> None:
    watch = StepBackWatch()
    outcomes(watch, "xxxxxxxxx", at=0.0)
    assert fired(outcomes(watch, "." * 9 + "x", at=61.0)) == []
    assert fired(outcomes(watch, "x", at=62.0)) == [1]


def test_what_is_younger_than_the_window_counts() -> None:
    watch = StepBackWatch()
    outcomes(watch, "xxxxxxxxx", at=0.0)
    assert fired(outcomes(watch, "x", at=58.9)) == [1]


def test_a_slow_trickle_of_errors_never_reaches_the_least() -> None:
    assert fired(outcomes(StepBackWatch(), "x" * 100, step=7.0)) == []


def test_an_outcome_that_comes_late_counts_where_it_belongs() -> None:
    watch = StepBackWatch()
    outcomes(watch, "x" * 9, at=100.0)
    assert fired(outcomes(watch, "x", at=30.0)) == []
    assert fired(outcomes(watch, "x", at=99.0)) == [1]


def test_after_it_fired_it_is_silent_for_that_scope_until_it_is_reset() -> None:
    watch = StepBackWatch()
    assert fired(outcomes(watch, "x" * 50)) == [10]
    assert fired(outcomes(watch, "x" * 50, kind="difference")) == []
    assert fired(outcomes(watch, "x" * 10, scope="another")) == [10]
    assert fired(outcomes(watch, "x" * 10, route="another")) == [10]
    watch.reset("r", "*")
    assert fired(outcomes(watch, "x" * 50)) == [10]


def test_a_reset_forgets_what_was_seen() -> None:
    watch = StepBackWatch()
    outcomes(watch, "x" * 9)
    outcomes(watch, "x" * 9, kind="difference")
    watch.reset("r", "*")
    assert fired(outcomes(watch, "x" * 9)) == []
    assert fired(outcomes(watch, "x" * 9, kind="difference")) == []


def test_another_length_of_the_window_begins_anew_and_other_bounds_hold_at_once() -> None:
    watch = StepBackWatch()
    outcomes(watch, "x" * 9)
    longer = RULES.model_copy(update={"window": timedelta(seconds=120)})
    assert fired(outcomes(watch, "x", rules=longer)) == []
    outcomes(watch, "x" * 3, rules=longer)
    assert fired(outcomes(watch, "x", rules=longer.model_copy(update={"least": 5}))) == [1]


def test_bounds_of_zero_and_a_hundred_percent() -> None:
    never = RULES.model_copy(update={"max_error_percent": 100.0})
    always = RULES.model_copy(update={"max_error_percent": 0.0})
    assert fired(outcomes(StepBackWatch(), "x" * 20, rules=never)) == []
    assert fired(outcomes(StepBackWatch(), "." * 50 + "x", rules=always)) == [51]


def test_the_scope_that_was_not_heard_of_for_longest_is_forgotten_when_there_are_too_many() -> None:
    watch = StepBackWatch()
    outcomes(watch, "x" * 9, scope="old")
    outcomes(watch, "x" * 8, scope="kept")
    for number in range(MAX_WINDOWS - 2):
        outcomes(watch, ".", scope=f"o{number}")
    outcomes(watch, ".", scope="kept")
    outcomes(watch, ".", scope="one too many")
    assert fired(outcomes(watch, "x", scope="kept")) == [1]
    assert fired(outcomes(watch, "x", scope="old")) == []


def test_many_outcomes_take_no_room_of_their_own() -> None:
    watch = StepBackWatch()
    outcomes(watch, "." * 100, step=0.5)
    tracemalloc.start()
    try:
        for number in range(10_000):
            watch.note("r", "*", bad=False, kind="error", at=1050 + number / 200, rules=RULES)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 50_000
