"""A model of the journal with takeover (CONTRACT N17, N19; DESIGN "Journal with takeover").

A client sends one newCase with an Idempotency-Key to one process, and again to others. A step is a
transaction of the database, a call to the platform, or an act of a process. A COMMIT may end without an
acknowledgment: not done, done, done on the primary alone, or done later. A failover loses what only the
primary has.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from tests.models.enumeration import Model, Step, fault_of, letter, step_of


@dataclass(frozen=True, slots=True)
class Rules:
    """The steps of the protocol; each may be left out, to see why it is there."""

    sends_after_the_intent: bool = True
    resolves_by_id: bool = True  # an entry of the same key may be another process's
    resolves_by_writing: bool = True  # a transaction that only reads waits for no standby
    writes_the_intent_again: bool = True  # when a COMMIT was lost; the lost one may still come
    repeats_by_writing: bool = True  # the transaction that finds an earlier answer writes, so it waits too
    records_open_ones_only: bool = True  # UPDATE … WHERE state IN (intent, ambiguous)
    takes_over: bool = True
    asks_who_lives_last: bool = True  # after it has read the entries: a process may join in between
    takes_over_its_own: bool = True  # its open entries that no request of the process has in hand
    reads_its_own_first: bool = True  # and only then compares them with what is in hand
    leaves_closed_ones_closed: bool = True  # a late failure would free the key of a call that somebody closed


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults that may come, and how many in one run."""

    most: int
    processes: int = 2
    kills: bool = False
    stops: bool = False
    late: bool = False  # a running process renews too late
    cuts: bool = False  # the connection breaks in COMMIT
    gives_up: bool = False  # a process can't write an outcome, and its request ends
    failover: bool = False
    closes: bool = False  # an operator closes ambiguous calls; it is no fault, and takes none


class Entry(NamedTuple):
    """A row of the journal, by process and attempt; `recordings` counts what the record's writes added."""

    id: tuple[int, int]
    member: tuple[int, int]
    state: str = "intent"
    has_key: bool = True
    recordings: int = 0
    closed: bool = False  # by an operator


class Database(NamedTuple):
    """The committed rows; `members` are the names with a live lease."""

    entries: tuple[Entry, ...] = ()
    members: tuple[tuple[int, int], ...] = ()


class Process(NamedTuple):
    """A process with its one request; `call` says what became of the call that it sent."""

    at: str = "out"
    runs: str = "runs"  # or "stopped", "dead"
    generation: int = 0
    attempt: int = 0
    call: str | None = None  # "open", "made", "refused", "silent"
    answered: bool = False
    in_hand: int | None = None  # the attempt that a takeover noted before it reads the entries

    @property
    def has_in_hand(self) -> bool:
        return self.at not in {"out", "idle", "done"}


class State(NamedTuple):
    """The whole system; `late` is a COMMIT that has not reached the server yet, with its entry."""

    processes: tuple[Process, ...]
    database: Database
    standby: Database | None
    faults: int
    late: Entry | None = None
    list_of: tuple[tuple[int, int], ...] | None = None  # of a takeover that reads first and writes later
    problem: str | None = None


_Steps: TypeAlias = Iterator[Step[State]]
_Cut: TypeAlias = Literal["ok", "unsent", "unheard", "alone"]
_OPEN: Final = frozenset({"intent", "ambiguous"})
_SENT_PAST: Final = "a call sent past one that an operator closed"
_FALSE_ALARM: Final = "an open call of a live process shown as interrupted"


def journal(rules: Rules, faults: Faults) -> Model[State]:
    """Returns the model of the protocol by these rules, with these faults."""
    start = State(
        (Process(),) * faults.processes, Database(), Database() if faults.failover else None, faults.most
    )
    return Model(start, _Protocol(rules, faults).steps, _wrong, _waiting)


def _wrong(state: State) -> str | None:
    entries = {each.id: each for each in state.database.entries}
    if any(each.recordings > 1 for each in entries.values()):
        return "a case recorded twice"
    recorded = any(each.state == "recorded" for each in entries.values())
    if any(each.answered for each in state.processes) and not recorded:
        return "an answer without a record"
    for number, each in enumerate(state.processes):
        forgotten = each.runs == "dead" or each.at == "done"
        if each.call in {"open", "made", "silent"} and forgotten and (number, each.attempt) not in entries:
            return "a call that nobody sees"
    return state.problem


def _waiting(state: State) -> Iterator[str]:
    if any(each.runs == "runs" for each in state.processes):
        yield from ("an open intent" for each in state.database.entries if each.state == "intent")


@dataclass(frozen=True, slots=True)
class _Protocol:
    rules: Rules
    faults: Faults

    def steps(self, state: State) -> _Steps:
        for number, each in enumerate(state.processes):
            if each.runs == "runs":
                step: Callable[[State, int, Process], _Steps] = getattr(self, f"_{each.at}")
                yield from step(state, number, each)
                yield from self._lease(state, number, each)
                yield from self._own(state, number, each)
            yield from self._fate(state, number, each)
        yield from self._clock(state)
        if self.rules.takes_over and any(each.runs == "runs" for each in state.processes):
            yield from self._takeover(state)
        if self.faults.closes:
            yield from self._operator(state)
        yield from self._server(state)

    # One request.

    def _out(self, state: State, number: int, me: Process) -> _Steps:
        if not number or state.processes[number - 1].at != "out":  # they are alike: the first joins first
            members = tuple(sorted((*state.database.members, (number, me.generation))))
            joined = state._replace(database=state.database._replace(members=members))
            yield step_of(number, "joins", _put(joined, number, at="idle"))

    def _idle(self, state: State, number: int, me: Process) -> _Steps:
        if self._blocked(state):
            return
        earlier = _of_key(state.database)
        if earlier is not None:
            yield self._repeat(state, number, earlier)
        elif not self.rules.sends_after_the_intent and me.call is None:
            yield from self._send(_put(state, number, attempt=me.attempt + 1), number, "idle")
        else:
            attempt = me.attempt + (1 if self.rules.sends_after_the_intent else 0)
            after = "begun" if self.rules.sends_after_the_intent else "sent"
            yield from self._begin(_put(state, number, attempt=attempt), number, after)

    def _begin(self, state: State, number: int, after: str) -> _Steps:
        me = state.processes[number]
        entry = Entry((number, me.attempt), (number, me.generation))
        written = _add(state.database, entry)
        for cut, left in self._commits(state, written):
            at = after if cut == "ok" else "unsure"
            yield _commit_step(number, "commits the intent", cut, _put(left, number, at=at))
        if self.faults.cuts and state.faults and state.late is None:
            late = state._replace(faults=state.faults - 1, late=entry)
            yield fault_of(number, "commits the intent, which comes late", _put(late, number, at="unsure"))

    def _unsure(self, state: State, number: int, me: Process) -> _Steps:
        """Resolves an ambiguous COMMIT of the intent."""
        db = state.database
        mine = _find(db, (number, me.attempt))
        same_key = _of_key(db)
        found = mine if self.rules.resolves_by_id else same_key
        if found is not None and found.state == "intent":
            written = _durable(state, db) if self.rules.resolves_by_writing else state
            yield step_of(number, "finds the intent", _put(written, number, at="begun"))
        elif found is not None and found == mine:
            yield step_of(number, "finds it taken over", _put(state, number, at="done"))
        elif same_key is not None:
            yield self._repeat(state, number, same_key)
        elif not self.rules.writes_the_intent_again:
            yield step_of(number, "finds no intent", _put(state, number, at="done"))
        elif not self._blocked(state):
            entry = Entry((number, me.attempt), (number, me.generation))
            after = _durable(state, _add(db, entry))
            yield step_of(number, "writes the intent again", _put(after, number, at="begun"))

    def _repeat(self, state: State, number: int, earlier: Entry) -> Step[State]:
        if earlier.state != "recorded":
            return step_of(number, "refuses: the outcome is unknown", _put(state, number, at="done"))
        after = _durable(state, state.database) if self.rules.repeats_by_writing else state
        return step_of(number, "answers again", _put(after, number, at="done", answered=True))

    def _begun(self, state: State, number: int, me: Process) -> _Steps:
        yield from self._send(state, number, "sent")

    def _send(self, state: State, number: int, at: str) -> _Steps:
        twice = any(each.call not in {None, "refused"} for each in state.processes)
        own = number, state.processes[number].attempt
        past = any(each.closed and each.id != own for each in state.database.entries)
        problem = "a call sent twice" if twice else _SENT_PAST if past else state.problem
        after = state._replace(problem=problem)
        yield step_of(number, "sends", _put(after, number, at=at, call="open"))

    def _sent(self, state: State, number: int, me: Process) -> _Steps:
        for call in ("made", "refused", "silent"):
            yield step_of(number, f"sees the call {call}", _put(state, number, at="resulted", call=call))

    def _resulted(self, state: State, number: int, me: Process) -> _Steps:
        """Records the outcome; after an ambiguous COMMIT the process comes here again."""
        db = state.database
        mine = _find(db, (number, me.attempt))
        is_open = mine is not None and (mine.state in _OPEN or not self.rules.records_open_ones_only)
        closed = mine is not None and mine.closed and self.rules.leaves_closed_ones_closed
        if mine is None or not is_open or (closed and me.call != "made"):
            after = _durable(state, db)
            answered = mine is not None and mine.state == "recorded"
            yield step_of(number, "finds the outcome", _put(after, number, at="done", answered=answered))
        else:
            made = me.call == "made"
            outcome = {"made": "recorded", "refused": "failed", "silent": "ambiguous"}[me.call or ""]
            new = mine._replace(
                state=outcome, has_key=me.call != "refused", recordings=mine.recordings + (1 if made else 0)
            )
            for cut, left in self._commits(state, _change(db, new)):
                done = _put(left, number, at="done", answered=made) if cut == "ok" else left
                yield _commit_step(number, f"commits {outcome}", cut, done)
        if self.faults.gives_up and state.faults:
            after = state._replace(faults=state.faults - 1)
            yield fault_of(number, "can't write, and gives up", _put(after, number, at="done"))

    def _done(self, state: State, number: int, me: Process) -> _Steps:
        yield from ()

    def _blocked(self, state: State) -> bool:
        """Returns whether an INSERT of this key waits for an earlier one to end."""
        return state.late is not None

    def _commits(self, state: State, after: Database) -> Iterator[tuple[_Cut, State]]:
        yield "ok", _durable(state, after)
        if self.faults.cuts and state.faults:
            spent = state._replace(faults=state.faults - 1)
            yield "unsent", spent
            yield "unheard", _durable(spent, after)
            if state.standby is not None:
                yield "alone", spent._replace(database=after)

    # Leases and takeover.

    def _lease(self, state: State, number: int, me: Process) -> _Steps:
        if me.at not in {"out", "done"} and (number, me.generation) not in state.database.members:
            members = tuple(sorted((*state.database.members, (number, me.generation + 1))))
            after = state._replace(database=state.database._replace(members=members))
            joined = _put(after, number, generation=me.generation + 1)
            yield Step(f"{letter(number)}'s lease", "is lost: joins under a new name", joined)

    def _clock(self, state: State) -> _Steps:
        for name in state.database.members:
            number, generation = name
            owner = state.processes[number]
            rest = tuple(each for each in state.database.members if each != name)
            after = state._replace(database=state.database._replace(members=rest))
            if owner.runs != "runs" or owner.generation != generation:
                yield Step("time", f"ends the lease of {letter(number)}", after)
            elif self.faults.late and state.faults and owner.at != "done":
                spent = after._replace(faults=state.faults - 1)
                yield Step("time", f"ends the lease of {letter(number)}, which is late", spent, fault=True)

    def _takeover(self, state: State) -> _Steps:
        db = state.database
        if self.rules.asks_who_lives_last:
            yield from self._shown("takeover", state, [e for e in db.entries if e.member not in db.members])
        elif state.list_of is None:
            if any(each.at == "out" for each in state.processes) or self._left_over(db):
                yield Step("takeover", "reads who lives", state._replace(list_of=db.members))
        else:
            found = [each for each in db.entries if each.member not in state.list_of]
            done = state._replace(list_of=None)
            wrong = any(each.state == "intent" and each.member in db.members for each in found)
            problem = _FALSE_ALARM if wrong else state.problem
            steps = [*self._shown("takeover", done._replace(problem=problem), found)]
            yield from steps or [Step("takeover", "finds nothing", done)]

    def _left_over(self, db: Database) -> bool:
        return any(each.state == "intent" and each.member not in db.members for each in db.entries)

    def _own(self, state: State, number: int, me: Process) -> _Steps:
        """Shows the process's own open entries that no request has in hand."""
        if not self.rules.takes_over_its_own:
            return
        actor, attempt = f"{letter(number)}'s takeover", me.attempt if me.has_in_hand else 0
        noted = attempt
        if not self.rules.reads_its_own_first:
            if me.in_hand is None:
                yield Step(actor, "notes what is in hand", _put(state, number, in_hand=attempt))
                return
            noted = me.in_hand
            state = _put(state, number, in_hand=None)
        own = [e for e in state.database.entries if e.member[0] == number and e.id != (number, noted)]
        if any(each.id == (number, attempt) and each.state == "intent" for each in own):
            state = state._replace(problem=_FALSE_ALARM)
        yield from self._shown(actor, state, own)

    def _shown(self, actor: str, state: State, entries: list[Entry]) -> _Steps:
        found = [each for each in entries if each.state == "intent"]
        if found:
            db = state.database
            for each in found:
                db = _change(db, each._replace(state="ambiguous"))
            yield Step(actor, "shows an open call as ambiguous", _durable(state, db))

    def _operator(self, state: State) -> _Steps:
        """Closes an ambiguous call; nothing is sent, and its key stays taken."""
        for each in state.database.entries:
            if each.state == "ambiguous" and not each.closed:
                after = _change(state.database, each._replace(closed=True))
                yield Step("operator", "closes an ambiguous call", _durable(state, after))

    # Faults of processes and of the database.

    def _fate(self, state: State, number: int, me: Process) -> _Steps:
        spent = state._replace(faults=state.faults - 1)
        if me.runs == "runs" and me.at not in {"out", "done"} and state.faults:
            if self.faults.kills:
                yield fault_of(number, "is killed", _put(spent, number, at="done", runs="dead"))
            if self.faults.stops:
                yield fault_of(number, "is stopped", _put(spent, number, runs="stopped"))
        if me.runs == "stopped":
            yield fault_of(number, "goes on", _put(state, number, runs="runs"))

    def _server(self, state: State) -> _Steps:
        if state.late is not None:
            yield Step("server", "rolls the late COMMIT back", state._replace(late=None))
            after = _durable(state._replace(late=None), _add(state.database, state.late))
            yield Step("server", "does the late COMMIT", after, fault=True)
        if state.standby is not None and state.standby != state.database:
            yield Step("standby", "catches up", state._replace(standby=state.database), fault=True)
        if state.standby is not None and state.faults:
            after = state._replace(database=state.standby, faults=state.faults - 1, late=None)
            if after.database != state.database or state.late is not None:
                yield Step("standby", "is promoted", after, fault=True)


def _find(db: Database, intent: tuple[int, int]) -> Entry | None:
    return next((each for each in db.entries if each.id == intent), None)


def _of_key(db: Database) -> Entry | None:
    return next((each for each in db.entries if each.has_key), None)


def _add(db: Database, entry: Entry) -> Database:
    return db._replace(entries=tuple(sorted((*db.entries, entry))))


def _change(db: Database, entry: Entry) -> Database:
    return db._replace(entries=tuple(entry if each.id == entry.id else each for each in db.entries))


def _durable(state: State, database: Database) -> State:
    """Commits and waits for the standby, which then has all earlier commits too."""
    standby = None if state.standby is None else database
    return state._replace(database=database, standby=standby)


def _put(state: State, number: int, **changes: object) -> State:
    process = state.processes[number]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(processes=(*state.processes[:number], process, *state.processes[number + 1 :]))


_SAID: Final = {
    "ok": "",
    "unsent": ", which is not done",
    "unheard": ", and hears nothing",
    "alone": " on the primary alone, and hears nothing",
}


def _commit_step(number: int, action: str, cut: _Cut, after: State) -> Step[State]:
    return Step(letter(number), action + _SAID[cut], after, fault=cut != "ok")
