"""The journal with takeover: no call sent twice, none left unseen, no answer without a record (N17, N19)."""

from dataclasses import replace

import pytest

from tests.models.enumeration import enumerate_all
from tests.models.journal import Faults, Rules, journal

TWICE = "a call sent twice"
UNSEEN = "an open intent waits for ever"
SENT_PAST = "a call sent past one that an operator closed"
FALSE_ALARM = "an open call of a live process shown as interrupted"


@pytest.mark.parametrize(
    "faults",
    [
        Faults(2, processes=2, kills=True, stops=True, late=True, cuts=True, gives_up=True),
        Faults(1, processes=3, kills=True, stops=True, late=True, cuts=True, gives_up=True),
        Faults(2, processes=2, kills=True, cuts=True, failover=True),
        Faults(2, processes=2, kills=True, stops=True, late=True, gives_up=True, closes=True),
    ],
    ids=["two faults", "three processes", "failover", "an operator"],
)
def test_every_interleaving_sends_once_and_leaves_no_call_unseen(faults: Faults) -> None:
    outcome = enumerate_all(journal(Rules(), faults))
    assert outcome.problem is None, str(outcome)
    assert outcome.states > 5000


@pytest.mark.parametrize(
    ("left_out", "faults", "problem"),
    [
        ("sends_after_the_intent", Faults(0), TWICE),
        ("sends_after_the_intent", Faults(1, kills=True), "a call that nobody sees"),
        ("resolves_by_id", Faults(1, cuts=True), TWICE),
        ("resolves_by_writing", Faults(2, cuts=True, failover=True), "a call that nobody sees"),
        ("writes_the_intent_again takes_over_its_own", Faults(1, cuts=True), UNSEEN),
        ("repeats_by_writing", Faults(2, cuts=True, failover=True), "an answer without a record"),
        ("records_open_ones_only", Faults(1, cuts=True), "a case recorded twice"),
        ("takes_over", Faults(1, kills=True), UNSEEN),
        ("asks_who_lives_last", Faults(0), FALSE_ALARM),
        ("reads_its_own_first", Faults(0), FALSE_ALARM),
        ("takes_over_its_own", Faults(1, gives_up=True), UNSEEN),
        ("leaves_closed_ones_closed", Faults(1, late=True, closes=True), SENT_PAST),
    ],
)
def test_without_a_step_of_the_protocol_the_enumeration_finds_a_counterexample(
    left_out: str, faults: Faults, problem: str
) -> None:
    rules = replace(Rules(), **dict.fromkeys(left_out.split(), False))
    outcome = enumerate_all(journal(rules, faults))
    assert outcome.problem == problem, str(outcome)
    assert outcome.trace


def test_a_lost_commit_that_comes_late_is_found_by_the_takeover_of_its_own_process_too() -> None:
    rules = replace(Rules(), writes_the_intent_again=False)
    outcome = enumerate_all(journal(rules, Faults(2, cuts=True)))
    assert outcome.problem is None, str(outcome)
