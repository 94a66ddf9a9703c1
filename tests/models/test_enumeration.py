"""The enumeration itself: it must find what is wrong, and nothing else."""

from collections.abc import Iterable, Iterator

import pytest

from tests.models.enumeration import Model, Outcome, Step, enumerate_all


def model(*steps: tuple[int, str, int], wrong: int = -1, waiting: Iterable[int] = ()) -> Model[int]:
    """Returns a model that starts at 0; an actor whose name ends in `?` makes faults."""

    def after(state: int) -> Iterator[Step[int]]:
        for begin, actor, end in steps:
            if begin == state:
                yield Step(actor, f"to {end}", end, fault=actor.endswith("?"))

    def waits(state: int) -> Iterator[str]:
        if state in {*waiting}:
            yield "someone"

    return Model(0, after, lambda state: "is wrong" if state == wrong else None, waits)


def test_a_model_without_a_problem_has_all_its_states_counted() -> None:
    assert enumerate_all(model((0, "a", 1), (0, "b", 2), (1, "a", 2))) == Outcome(3)


def test_the_shortest_trace_to_a_wrong_state_is_printed() -> None:
    outcome = enumerate_all(model((0, "a", 1), (1, "a", 2), (2, "a", 3), (0, "b?", 2), wrong=3))
    assert str(outcome) == "4 states: is wrong\n  1. b?: to 2\n  2. a: to 3"


@pytest.mark.parametrize(
    ("steps", "waits"),
    [
        ([(0, "a", 1)], False),
        ([(0, "a?", 1)], True),
        ([(0, "a", 0)], True),
        ([(0, "a", 0), (0, "b", 1)], False),
        ([(0, "a", 2), (2, "a", 0), (0, "b", 1), (2, "b", 1)], False),
        ([(0, "a", 2), (2, "a", 0), (0, "b", 1)], True),
        ([(0, "a", 0), (0, "b?", 1)], True),
    ],
    ids=[
        "a fair step ends it",
        "a fault need not come",
        "a step that changes nothing",
        "another actor ends it",
        "an actor able in all states goes on",
        "an actor not always able may never go on",
        "a fault need not end a loop",
    ],
)
def test_waiting_lasts_for_ever_only_if_fair_actors_allow_it(
    steps: list[tuple[int, str, int]], waits: bool
) -> None:
    problem = enumerate_all(model(*steps, waiting=[0, 2])).problem
    assert problem == ("someone waits for ever" if waits else None)


def test_a_model_that_never_ends_is_an_error() -> None:
    endless = Model(0, lambda state: [Step("a", "counts", state + 1)], lambda _: None, lambda _: [])
    with pytest.raises(OverflowError):
        enumerate_all(endless, most=100)
