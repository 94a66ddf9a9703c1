"""A model of linked cases with takeover: one row of `links` (CONTRACT S05; DESIGN "Journal with takeover").

Two tasks of process A and one of process B may send the same new audio: a client asks for its transcription
again, a task tries again, or a process resumes what another one left. A step is a transaction of the
database, a call to the platform, or an act of a process. A COMMIT may end without an acknowledgment, done or
not. What a failover loses is in the model of the journal.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from tests.models.enumeration import Model, Step


@dataclass(frozen=True, slots=True)
class Rules:
    """The steps of the protocol; each may be left out, to see why it is there."""

    begins_by_compare_and_swap: bool = True  # UPDATE … WHERE state IN (pending, failed)
    names_attempts: bool = True  # each try has a nonce: a process may have two tasks on one row
    results_of_the_attempt_only: bool = True  # UPDATE … WHERE attempt = mine AND state IN (intent, ambiguous)
    takes_over: bool = True
    resumes: bool = True
    minds_its_own: bool = True  # takes over, or resumes, own rows that no task of the process has in hand


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults that may come, and how many in one run."""

    most: int
    kills: bool = False
    stops: bool = False
    late: bool = False  # a running process renews too late
    cuts: bool = False  # the connection breaks in COMMIT
    gives_up: bool = False  # a process can't write, and its task ends
    unreached: bool = False  # a call that certainly did not arrive


class Row(NamedTuple):
    """The row; `attempt` is (task, number) of the last one that began, `member` is (process, generation)."""

    state: str
    member: tuple[int, int]
    attempt: tuple[int, int] | None = None


class Process(NamedTuple):
    """A process that serves."""

    runs: str = "runs"  # or "stopped", "dead"
    generation: int = 0


class Task(NamedTuple):
    """A task that sends the linked case; `call` says what became of its call."""

    at: str = "idle"
    tries: int = 0
    call: str | None = None


class State(NamedTuple):
    """The whole system; `effective` counts the calls that may have made a case."""

    processes: tuple[Process, ...]
    tasks: tuple[Task, ...]
    members: tuple[tuple[int, int], ...]
    row: Row | None
    faults: int
    effective: int = 0
    problem: str | None = None


_Steps: TypeAlias = Iterator[Step[State]]
_PROCESS: Final = (0, 0, 1)  # the process of each task
_NAMES: Final = ("A1", "A2", "B")
_MAY_BEGIN: Final = frozenset({"pending", "failed"})
_OPEN: Final = frozenset({"intent", "ambiguous"})
_OUTCOMES: Final = {"made": "done", "refused": "failed", "silent": "ambiguous", "unreached": "pending"}


def links(rules: Rules, faults: Faults) -> Model[State]:
    """Returns the model of the protocol by these rules, with these faults."""
    start = State((Process(),) * 2, (Task(),) * len(_PROCESS), ((0, 0), (1, 0)), None, faults.most)
    return Model(start, _Protocol(rules, faults).steps, lambda state: state.problem, _waiting)


def _waiting(state: State) -> Iterator[str]:
    unfinished = state.row is not None and state.row.state in {"pending", "intent"}
    if unfinished and any(each.runs == "runs" for each in state.processes):
        yield "the linked case"


@dataclass(frozen=True, slots=True)
class _Protocol:
    rules: Rules
    faults: Faults

    def steps(self, state: State) -> _Steps:
        for number, task in enumerate(state.tasks):
            if state.processes[_PROCESS[number]].runs == "runs":
                step: Callable[[State, int, Task], _Steps] = getattr(self, f"_{task.at}")
                yield from step(state, number, task)
        for number, process in enumerate(state.processes):
            if process.runs == "runs":
                yield from self._sweep(state, number)
                yield from self._lease(state, number, process)
            yield from self._fate(state, number, process)
        yield from self._clock(state)

    # One task.

    def _idle(self, state: State, number: int, me: Task) -> _Steps:
        planned = state.row or Row("pending", self._member(state, number))
        after = _put(state._replace(row=planned), number, at="planned")
        yield _step(number, "plans", after, fault=number > 0)

    def _planned(self, state: State, number: int, me: Task) -> _Steps:
        state = _put(state, number, tries=me.tries + 1)
        if not self._may_begin(state.row):
            yield _step(number, "finds it begun", _put(state, number, at="done"))
            return
        begun = self._begun_row(state, number)
        yield _step(number, "begins", _put(begun, number, at="begun"))
        if self.faults.cuts and state.faults:
            for action, after in (("hears nothing", begun), ("it is not done", state)):
                cut = _put(after._replace(faults=state.faults - 1), number, at="unsure")
                yield _step(number, f"begins, but {action}", cut, fault=True)

    def _unsure(self, state: State, number: int, me: Task) -> _Steps:
        """Resolves an ambiguous COMMIT of the intent."""
        if state.row is not None and state.row.state == "intent" and self._is_mine(state, number):
            yield _step(number, "finds its intent", _put(state, number, at="begun"))
        elif self._may_begin(state.row):
            yield _step(number, "begins again", _put(self._begun_row(state, number), number, at="begun"))
        else:
            yield _step(number, "finds it begun", _put(state, number, at="done"))

    def _begun(self, state: State, number: int, me: Task) -> _Steps:
        problem = "a call sent twice" if state.effective else state.problem
        after = state._replace(effective=state.effective + 1, problem=problem)
        yield _step(number, "sends", _put(after, number, at="sent", call="open"))

    def _sent(self, state: State, number: int, me: Task) -> _Steps:
        failed = state._replace(effective=state.effective - 1)
        yield _step(number, "sees the call made", _put(state, number, at="resulted", call="made"))
        yield _step(number, "sees no answer", _put(state, number, at="resulted", call="silent"))
        yield _step(number, "sees the call refused", _put(failed, number, at="resulted", call="refused"))
        if self.faults.unreached and state.faults:
            after = _put(failed._replace(faults=state.faults - 1), number, at="resulted", call="unreached")
            yield _step(number, "sees that nothing arrived", after, fault=True)

    def _resulted(self, state: State, number: int, me: Task) -> _Steps:
        """Writes the outcome; after an ambiguous COMMIT the task comes here again."""
        assert state.row is not None
        outcome = _OUTCOMES[me.call or ""]
        is_open = state.row.state in _OPEN and self._is_mine(state, number)
        new = state
        if is_open or not self.rules.results_of_the_attempt_only:
            new = state._replace(row=state.row._replace(state=outcome))
        at = "planned" if me.call == "unreached" else "done"
        yield _step(number, f"writes {outcome}", _put(new, number, at=at, call=None))
        if self.faults.cuts and state.faults:
            unheard = new._replace(faults=state.faults - 1)
            yield _step(number, f"writes {outcome}, and hears nothing", unheard, fault=True)
        if self.faults.gives_up and state.faults:
            after = _put(state._replace(faults=state.faults - 1), number, at="done", call=None)
            yield _step(number, "can't write, and gives up", after, fault=True)

    def _done(self, state: State, number: int, me: Task) -> _Steps:
        yield from ()

    def _may_begin(self, row: Row | None) -> bool:
        return row is not None and (
            row.state in _MAY_BEGIN or (not self.rules.begins_by_compare_and_swap and row.state == "intent")
        )

    def _begun_row(self, state: State, number: int) -> State:
        attempt = (number, state.tasks[number].tries)
        return state._replace(row=Row("intent", self._member(state, number), attempt))

    def _is_mine(self, state: State, number: int) -> bool:
        """Returns whether the row's attempt is the task's; without nonces, whether it is its process's."""
        if state.row is None or state.row.attempt is None:
            return False
        if not self.rules.names_attempts:
            return _PROCESS[state.row.attempt[0]] == _PROCESS[number]
        return state.row.attempt == (number, state.tasks[number].tries)

    def _member(self, state: State, number: int) -> tuple[int, int]:
        process = _PROCESS[number]
        return process, state.processes[process].generation

    # Takeover and resuming.

    def _sweep(self, state: State, process: int) -> _Steps:
        row, actor = state.row, f"{'AB'[process]}'s sweep"
        if row is None or not self._is_left(state, row, process):
            return
        if row.state == "intent" and self.rules.takes_over:
            after = state._replace(row=row._replace(state="ambiguous"))
            yield Step(actor, "shows the call as ambiguous", after)
        if row.state == "pending" and self.rules.resumes:
            for number, task in enumerate(state.tasks):
                if _PROCESS[number] == process and task.at in {"idle", "done"}:
                    yield Step(actor, f"resumes it as {_NAMES[number]}", _put(state, number, at="planned"))

    def _is_left(self, state: State, row: Row, process: int) -> bool:
        """Returns whether nobody works on the row, as far as this process can see."""
        if row.member[0] != process or not self.rules.minds_its_own:
            return row.member not in state.members
        own = [(number, each) for number, each in enumerate(state.tasks) if _PROCESS[number] == process]
        if row.state == "pending":
            return all(each.at in {"idle", "done"} for _, each in own)
        return all((number, each.tries) != row.attempt or each.at == "done" for number, each in own)

    def _lease(self, state: State, number: int, me: Process) -> _Steps:
        if (number, me.generation) not in state.members:
            now = me._replace(generation=me.generation + 1)
            members = tuple(sorted((*state.members, (number, now.generation))))
            after = _set(state._replace(members=members), number, now)
            yield Step(f"{'AB'[number]}'s lease", "is lost: joins under a new name", after)

    def _clock(self, state: State) -> _Steps:
        for name in state.members:
            number, generation = name
            owner = state.processes[number]
            after = state._replace(members=tuple(each for each in state.members if each != name))
            if owner.runs != "runs" or owner.generation != generation:
                yield Step("time", f"ends the lease of {'AB'[number]}", after)
            elif self.faults.late and state.faults:
                spent = after._replace(faults=state.faults - 1)
                yield Step("time", f"ends the lease of {'AB'[number]}, which is late", spent, fault=True)

    def _fate(self, state: State, number: int, me: Process) -> _Steps:
        spent, name = state._replace(faults=state.faults - 1), "AB"[number]
        if me.runs == "runs" and state.faults:
            if self.faults.kills:
                dead = _set(spent, number, me._replace(runs="dead"))
                for task, process in enumerate(_PROCESS):
                    if process == number:
                        dead = _put(dead, task, at="done", call=None)
                yield Step(name, "is killed", dead, fault=True)
            if self.faults.stops:
                yield Step(name, "is stopped", _set(spent, number, me._replace(runs="stopped")), fault=True)
        if me.runs == "stopped":
            yield Step(name, "goes on", _set(state, number, me._replace(runs="runs")), fault=True)


def _put(state: State, number: int, **changes: object) -> State:
    task = state.tasks[number]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(tasks=(*state.tasks[:number], task, *state.tasks[number + 1 :]))


def _set(state: State, number: int, process: Process) -> State:
    return state._replace(processes=(*state.processes[:number], process, *state.processes[number + 1 :]))


def _step(number: int, action: str, after: State, *, fault: bool = False) -> Step[State]:
    return Step(_NAMES[number], action, after, fault)
