"""The locks across replicas: never two holders that both write, no waiter forgotten."""

from dataclasses import replace

import pytest

from tests.models.enumeration import enumerate_all
from tests.models.tickets import Faults, Rules, tickets

OVERLAP = "two questions at once"
LATE_WRITE = "a write after another has taken"


@pytest.mark.parametrize(
    "faults",
    [
        Faults(2, processes=2, kills=True, late=True, cuts=True, leaves=True),
        Faults(1, processes=3, kills=True, stops=True, late=True, cuts=True, leaves=True),
        Faults(2, processes=3, kills=True, leaves=True),
        Faults(2, processes=3, kills=True, cuts=True),
        Faults(1, processes=3, failover=True),
        Faults(2, processes=2, failover=True, kills=True),
        Faults(2, processes=2, failover=True, cuts=True),
    ],
    ids=[
        "two faults",
        "three processes",
        "three, killed, left",
        "three, killed, cut",
        "failover",
        "failover, killed",
        "failover, cut",
    ],
)
def test_every_interleaving_has_one_holder_that_writes_and_no_waiter_forgotten(faults: Faults) -> None:
    outcome = enumerate_all(tickets(Rules(), faults))
    assert outcome.problem is None, str(outcome)
    assert outcome.states > 300


@pytest.mark.parametrize(
    ("left_out", "faults", "problem"),
    [
        ("asks_under_the_lock", Faults(0), OVERLAP),
        ("looks_after_the_lock", Faults(0), OVERLAP),
        ("polls", Faults(0), "B waits for ever"),
        ("sees_its_ticket_gone", Faults(1, failover=True), "A waits for ever"),
        ("sees_its_ticket_gone renews_by_update", Faults(1, late=True), "B waits for ever"),
        ("compares_nonces", Faults(1, failover=True), OVERLAP),
        ("fences", Faults(1, stops=True), LATE_WRITE),
        ("fences_for_share", Faults(1, stops=True), LATE_WRITE),
        ("leaves_a_mark", Faults(1, kills=True), OVERLAP),
        ("marks_what_it_deletes", Faults(1, stops=True), OVERLAP),
        ("takes_before_it_reads_the_mark", Faults(1, kills=True), OVERLAP),
        ("keeps_the_mark_while_it_holds", Faults(2, processes=3, kills=True, leaves=True), OVERLAP),
        ("clears_the_mark_only_if_done", Faults(2, processes=3, kills=True, leaves=True), OVERLAP),
        ("clears_the_mark_with_its_ticket", Faults(2, processes=3, kills=True, cuts=True), OVERLAP),
        ("returns_strays", Faults(1, cuts=True), "A waits for ever"),
        ("returns_strays", Faults(1, failover=True), "B waits for ever"),
        ("reads_strays_first", Faults(0), OVERLAP),
        ("ends_idle_transactions", Faults(1, stops=True), "B waits for ever"),
        ("takes_durably", Faults(1, failover=True), OVERLAP),
    ],
)
def test_without_a_step_of_the_protocol_the_enumeration_finds_a_counterexample(
    left_out: str, faults: Faults, problem: str
) -> None:
    rules = replace(Rules(), **dict.fromkeys(left_out.split(), False))
    outcome = enumerate_all(tickets(rules, faults))
    assert outcome.problem == problem, str(outcome)
    assert outcome.trace


def test_either_a_renewal_by_update_or_a_look_at_the_own_row_finds_a_lost_lease() -> None:
    for each in ("renews_by_update", "sees_its_ticket_gone"):
        outcome = enumerate_all(tickets(replace(Rules(), **{each: False}), Faults(1, late=True)))
        assert outcome.problem is None, str(outcome)


def test_a_stopped_holder_that_wakes_up_after_its_lease_writes_nothing() -> None:
    """The trace of the mutant is a trace of the protocol too, up to the write."""
    faults = Faults(1, stops=True)
    unfenced = enumerate_all(tickets(replace(Rules(), fences=False), faults))
    assert unfenced.trace[-1] == "A: writes"
    assert "A: goes on" in unfenced.trace
    assert enumerate_all(tickets(Rules(), faults)).problem is None
