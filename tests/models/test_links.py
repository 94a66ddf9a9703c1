"""Linked cases with takeover: no call sent twice, and none left pending or unseen (S05)."""

from dataclasses import replace

import pytest

from tests.models.enumeration import enumerate_all
from tests.models.links import Faults, Rules, links

TWICE = "a call sent twice"
UNSEEN = "the linked case waits for ever"


@pytest.mark.parametrize(
    "faults",
    [
        Faults(1, kills=True, stops=True, late=True, cuts=True, gives_up=True, unreached=True),
        Faults(2, kills=True, cuts=True, unreached=True),
        Faults(2, late=True, cuts=True, gives_up=True),
    ],
    ids=["any fault", "killed", "late"],
)
def test_every_interleaving_sends_once_and_leaves_no_linked_case_unseen(faults: Faults) -> None:
    outcome = enumerate_all(links(Rules(), faults))
    assert outcome.problem is None, str(outcome)
    assert outcome.states > 4000


@pytest.mark.parametrize(
    ("left_out", "faults", "problem"),
    [
        ("begins_by_compare_and_swap", Faults(0), TWICE),
        ("names_attempts", Faults(1, cuts=True), TWICE),
        ("results_of_the_attempt_only", Faults(1, cuts=True), TWICE),
        ("takes_over", Faults(1, kills=True), UNSEEN),
        ("resumes", Faults(1, kills=True), UNSEEN),
        ("minds_its_own", Faults(1, gives_up=True), UNSEEN),
    ],
)
def test_without_a_step_of_the_protocol_the_enumeration_finds_a_counterexample(
    left_out: str, faults: Faults, problem: str
) -> None:
    outcome = enumerate_all(links(replace(Rules(), **{left_out: False}), faults))
    assert outcome.problem == problem, str(outcome)
    assert outcome.trace
