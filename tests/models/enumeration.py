"""Enumerates every interleaving of a small model, and finds the shortest trace to whatever must not be.

A model is a start, the steps that may follow a state, and two promises: no state is wrong, and no waiting
lasts for ever. Steps that are faults may never come, and the model bounds their number. All other steps are
fair: an actor that can go on from some point on without a break does go on.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    """One atomic step of one actor; `fault` marks a step that may never come."""

    actor: str
    action: str
    after: S
    fault: bool = False


def letter(number: int) -> str:
    """Returns the name of a process in a trace."""
    return "ABC"[number]


def step_of(number: int, action: str, after: S) -> Step[S]:
    """Returns a step of a process."""
    return Step(letter(number), action, after)


def fault_of(number: int, action: str, after: S) -> Step[S]:
    """Returns a step of a process that may never come."""
    return Step(letter(number), action, after, fault=True)


@dataclass(frozen=True, slots=True)
class Model(Generic[S]):
    """A transition system; `wrong` names what must never be, `waiting` names who must not wait for ever."""

    start: S
    steps: Callable[[S], Iterable[Step[S]]]
    wrong: Callable[[S], str | None]
    waiting: Callable[[S], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an enumeration: the number of states, and the first problem with the trace to it."""

    states: int
    problem: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        steps = (f"{number:3}. {each}" for number, each in enumerate(self.trace, 1))
        return "\n".join((f"{self.states} states: {self.problem or 'no problem'}", *steps))


def enumerate_all(model: Model[S], most: int = 1_000_000) -> Outcome:
    """Returns the outcome of a breadth-first search of all states; more than `most` are an error."""
    graph: _Graph[S] = _Graph([model.start], {model.start: 0}, [(-1, "")], [])
    for state in graph.states:  # grows on the way
        if problem := model.wrong(state):
            return Outcome(len(graph.states), problem, graph.trace(graph.number[state]))
        graph.add_edges(state, model.steps(state))
        if len(graph.states) > most:
            raise OverflowError(f"the model has more than {most} states")
    return _first_endless(model, graph) or Outcome(len(graph.states))


class _Edge(NamedTuple):
    actor: str
    to: int
    fault: bool


@dataclass(frozen=True, slots=True)
class _Graph(Generic[S]):
    """The states by number, each with the number and the step that it was first reached from."""

    states: list[S]
    number: dict[S, int]
    parents: list[tuple[int, str]]
    edges: list[list[_Edge]]

    def add_edges(self, state: S, steps: Iterable[Step[S]]) -> None:
        here, found = self.number[state], []
        for actor, action, after, fault in steps:
            to = self.number.get(after)
            if to is None:
                to = self.number[after] = len(self.states)
                self.states.append(after)
                self.parents.append((here, f"{actor}: {action}"))
            found.append(_Edge(actor, to, fault))
        self.edges.append(found)

    def trace(self, number: int) -> tuple[str, ...]:
        steps = []
        while number:
            number, step = self.parents[number]
            steps.append(step)
        return tuple(reversed(steps))


def _first_endless(model: Model[S], graph: _Graph[S]) -> Outcome | None:
    """Returns the shortest trace into a waiting that fair actors need never end."""
    members: dict[str, set[int]] = {}
    for number, state in enumerate(graph.states):
        for name in model.waiting(state):
            members.setdefault(name, set()).add(number)
    ends = (
        (min(component), name)
        for name, within in members.items()
        for component in _components(graph.edges, within)
        if _lasts(graph.edges, component)
    )
    first = min(ends, default=None)
    if first is None:
        return None
    return Outcome(len(graph.states), f"{first[1]} waits for ever", graph.trace(first[0]))


def _lasts(edges: list[list[_Edge]], component: set[int]) -> bool:
    """Returns whether a run may stay in the component although every actor is fair.

    Each actor must either have a step inside of it, or be unable to go on in one of its states.
    """
    inside = {edge.actor for each in component for edge in edges[each] if edge.to in component}
    always: set[str] | None = None
    for each in component:
        able = {edge.actor for edge in edges[each] if not edge.fault}
        always = able if always is None else always & able
    return not ((always or set()) - inside)


def _components(edges: list[list[_Edge]], within: set[int]) -> Iterator[set[int]]:
    """Yields the strongly connected components of the states `within` (Tarjan's algorithm)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in within:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(edges[root]))]
        while work:
            here, rest = work[-1]
            for edge in rest:
                if edge.to not in within:
                    continue
                if edge.to not in order:
                    order[edge.to] = low[edge.to] = len(order)
                    stack.append(edge.to)
                    on_stack.add(edge.to)
                    work.append((edge.to, iter(edges[edge.to])))
                    break
                if edge.to in on_stack:
                    low[here] = min(low[here], order[edge.to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[here])
                if low[here] == order[here]:
                    component: set[int] = set()
                    while here not in component:
                        component.add(stack.pop())
                    on_stack -= component
                    yield component
