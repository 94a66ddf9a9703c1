"""A model of the locks across replicas: tickets, leases and fences (DESIGN "Order across replicas").

Every process takes the lock of one key once, and asks one question in the conversation that the lock guards.
A step is a statement or a transaction of the database, or an act of a process. Between any two of them a
process may be killed, be stopped and go on later, or be so late that its lease runs out. A mark is the row of
`lapsed`: the holder before may still have a question on the wire. A taking, an abandoning and a write wait
for the standby. A failover may lose all that was committed since, the newest first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from tests.models.enumeration import Model, Step, fault_of, letter, step_of


@dataclass(frozen=True, slots=True)
class Rules:
    """The steps of the protocol; each may be left out, to see why it is there."""

    asks_under_the_lock: bool = True  # pg_advisory_xact_lock(key) before the id is allocated
    looks_after_the_lock: bool = (
        True  # by a statement of its own: one that waits for a lock has an old snapshot
    )
    polls: bool = True
    sees_its_ticket_gone: bool = True  # a poll that does not find its own row asks again
    compares_nonces: bool = True  # an id may be allocated twice, before and after a failover
    fences: bool = True
    fences_for_share: bool = True
    leaves_a_mark: bool = True
    marks_what_it_deletes: bool = True  # each key of a deleted ticket, not the lowest ones of an earlier look
    takes_before_it_reads_the_mark: bool = True  # a reaper may leave one between a look for it and the taking
    keeps_the_mark_while_it_holds: bool = True
    clears_the_mark_only_if_done: bool = True  # a holder that ends early may not have abandoned anything
    clears_the_mark_with_its_ticket: bool = (
        True  # a second try to give back may meet the mark of a later holder
    )
    renews_by_update: bool = True
    returns_strays: bool = True  # a renewal deletes own tickets whose nonce the process has not in hand
    reads_strays_first: bool = True  # and only then compares them with what is in hand
    ends_idle_transactions: bool = True  # idle_in_transaction_session_timeout
    takes_durably: bool = True  # the standby has the ticket before its holder goes on; all else may be lost


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults that may come, and how many in one run."""

    most: int
    processes: int = 2
    kills: bool = False
    stops: bool = False
    late: bool = False  # a running process renews too late
    cuts: bool = False  # the connection breaks in COMMIT
    leaves: bool = False  # a client leaves: the lock is given back before the question
    failover: bool = False  # asynchronous commits may be lost, the newest first


class Ticket(NamedTuple):
    """A row of `tickets`; `nonce` is (process, attempt), `member` is (process, generation)."""

    id: int
    nonce: tuple[int, int]
    member: tuple[int, int]


class Database(NamedTuple):
    """The committed rows; `members` maps a name to whether its lease has time left."""

    tickets: tuple[Ticket, ...] = ()
    members: tuple[tuple[tuple[int, int], bool], ...] = ()
    mark: bool = False
    conversation: int = 0
    next_id: int = 1


class Process(NamedTuple):
    """A process, with what it remembers of its ticket and of the conversation."""

    at: str = "idle"
    runs: str = "runs"  # or "stopped", "dead"
    generation: int = 0
    attempt: int = 0
    id: int = 0
    turn: int = 0
    conversation: int = 0
    must_abandon: bool = False
    is_done: bool = False
    saw_nobody: bool = False
    read_mark: bool | None = None  # by a process that looks for the mark before it takes
    in_hand: int | None = None  # the attempt that a renewal noted before it reads the tickets

    @property
    def in_transaction(self) -> bool:
        return self.at in {"locked", "inserted", "checked"}


class State(NamedTuple):
    """The whole system; `turn` counts the takings, `wire` has (process, conversation) of open questions."""

    processes: tuple[Process, ...]
    database: Database
    standby: Database | None
    faults: int
    lock: int | None = None
    turn: int = 0
    wire: frozenset[tuple[int, int]] = frozenset()
    look: tuple[tuple[int, int], bool] | None = None  # of a reaper that looks first and deletes later
    problem: str | None = None


_Steps: TypeAlias = Iterator[Step[State]]
_TAKEN: Final = frozenset({"holds", "asked", "answered", "checked"})
_WAITS: Final = frozenset({"idle", "queued", "locked", "inserted", "waiting"})
_OPEN: Final = (_WAITS | _TAKEN | {"giving"}) - {"idle", "queued"}  # the nonce is in hand


def tickets(rules: Rules, faults: Faults) -> Model[State]:
    """Returns the model of the protocol by these rules, with these faults."""
    members = tuple(((each, 0), True) for each in range(faults.processes))
    database = Database(members=members)
    start = State(
        (Process(),) * faults.processes, database, database if faults.failover else None, faults.most
    )
    return Model(start, _Protocol(rules, faults).steps, lambda state: state.problem, _waiting)


def _waiting(state: State) -> Iterator[str]:
    for number, each in enumerate(state.processes):
        if each.runs == "runs" and each.at != "done":
            yield letter(number)


def _is_before(process: Process) -> bool:
    return process.runs == "runs" and process.at == "idle" and not process.attempt


@dataclass(frozen=True, slots=True)
class _Protocol:
    rules: Rules
    faults: Faults

    def steps(self, state: State) -> _Steps:
        for number, each in enumerate(state.processes):
            if each.runs == "runs":
                step: Callable[[State, int, Process], _Steps] = getattr(self, f"_{each.at}")
                yield from step(state, number, each)
                yield from self._renewal(state, number, each)
            yield from self._fate(state, number, each)
        yield from self._clock(state)
        yield from self._reaper(state)
        yield from self._failover(state)

    @property
    def _looks_again(self) -> bool:
        return self.rules.polls and self.rules.looks_after_the_lock

    # What a process does with its ticket.

    def _idle(self, state: State, number: int, me: Process) -> _Steps:
        if not me.attempt and any(_is_before(each) for each in state.processes[:number]):
            return  # the processes are alike, so let their names follow the order in which they first ask
        if self.rules.looks_after_the_lock:
            yield from self._queued(state, number, me)
        else:
            saw = not state.database.tickets
            yield step_of(number, "begins to ask", _put(state, number, at="queued", saw_nobody=saw))

    def _queued(self, state: State, number: int, me: Process) -> _Steps:
        if not self.rules.asks_under_the_lock:
            yield from self._locked(state, number, me)
        elif state.lock is None:
            yield step_of(number, "locks the key", _put(state._replace(lock=number), number, at="locked"))

    def _locked(self, state: State, number: int, me: Process) -> _Steps:
        db = state.database
        if (number, me.generation) not in dict(db.members):
            yield step_of(number, "is no member any more", self._rejoin(state, number, me))
            return
        got = db._replace(next_id=db.next_id + 1)
        new = {"at": "inserted", "id": db.next_id, "attempt": me.attempt + 1}
        after = _put(state._replace(database=got), number, **new)
        yield step_of(number, f"inserts ticket {db.next_id}", after)

    def _inserted(self, state: State, number: int, me: Process) -> _Steps:
        ticket = Ticket(me.id, (number, me.attempt), (number, me.generation))
        stored = sorted((*state.database.tickets, ticket))
        state = _unlock(state, number)
        after = _commit(state, state.database._replace(tickets=tuple(stored)), durable=False)
        saw = me.saw_nobody if not self.rules.looks_after_the_lock else stored[0] == ticket
        waiting = {"at": "waiting", "saw_nobody": saw and not self._looks_again}
        yield step_of(number, f"commits ticket {me.id}", _put(after, number, **waiting))
        if self.faults.cuts and state.faults:
            cut = _put(after._replace(faults=state.faults - 1), number, at="idle", id=0)
            yield fault_of(number, "commits, loses the connection, and asks again", cut)

    def _waiting(self, state: State, number: int, me: Process) -> _Steps:
        db = state.database
        mine = self._mine(db, number, me)
        if not self.rules.takes_before_it_reads_the_mark and me.read_mark is None:
            yield step_of(number, "looks for a mark", _put(state, number, read_mark=db.mark))
        elif me.saw_nobody:
            yield from self._take(state, number, me)
        elif not self.rules.polls:
            return
        elif mine is None and self.rules.sees_its_ticket_gone:
            yield step_of(number, "finds its ticket gone", _put(state, number, at="idle", id=0))
        elif mine is not None and mine.id == db.tickets[0].id:
            yield from self._take(state, number, me)
        else:
            yield step_of(number, "polls", _put(state, number, read_mark=None))

    def _take(self, state: State, number: int, me: Process) -> _Steps:
        db = state.database
        keeps = self.rules.keeps_the_mark_while_it_holds
        taken = db if keeps else db._replace(mark=False)
        state = _commit(state, taken, durable=self.rules.takes_durably)._replace(turn=state.turn + 1)
        mark = db.mark if me.read_mark is None else me.read_mark
        saw = {"turn": state.turn, "conversation": db.conversation, "must_abandon": mark}
        yield step_of(number, f"takes with ticket {me.id}", _put(state, number, at="holds", **saw))

    def _holds(self, state: State, number: int, me: Process) -> _Steps:
        if not me.must_abandon:
            asked = (number, me.conversation)
            same = [each for each in state.wire if each[1] == me.conversation]
            after = state._replace(
                wire=state.wire | {asked}, problem="two questions at once" if same else None
            )
            yield step_of(number, f"asks in conversation {me.conversation}", _put(after, number, at="asked"))
        elif self._passes(state, number, me):
            db = state.database
            after = _commit(state, db._replace(conversation=db.conversation + 1), durable=True)
            after = self._written(after, me)
            new = {"conversation": db.conversation + 1, "must_abandon": False}
            yield step_of(number, "abandons the conversation", _put(after, number, **new))
        else:
            yield step_of(number, "is refused", _put(state, number, at="giving"))
        if self.faults.leaves and state.faults:
            after = state._replace(faults=state.faults - 1)
            yield fault_of(number, "has a client that leaves", _put(after, number, at="giving"))

    def _asked(self, state: State, number: int, me: Process) -> _Steps:
        after = state._replace(wire=state.wire - {(number, me.conversation)})
        yield step_of(number, "gets the answer", _put(after, number, at="answered"))

    def _answered(self, state: State, number: int, me: Process) -> _Steps:
        if self._passes(state, number, me):
            yield step_of(number, "finds its ticket", _put(state, number, at="checked"))
        else:
            yield step_of(number, "is refused", _put(state, number, at="giving"))

    def _checked(self, state: State, number: int, me: Process) -> _Steps:
        after = self._written(_commit(state, state.database, durable=True), me)
        yield step_of(number, "writes", _put(after, number, at="giving", is_done=True))

    def _giving(self, state: State, number: int, me: Process) -> _Steps:
        db, mine = state.database, self._mine(state.database, number, me)
        clears = me.is_done or not self.rules.clears_the_mark_only_if_done
        clears = clears and (mine is not None or not self.rules.clears_the_mark_with_its_ticket)
        rest = tuple(each for each in db.tickets if each != mine)
        given = _commit(state, db._replace(tickets=rest, mark=db.mark and not clears), durable=False)
        end = Process("done", me.runs, me.generation, me.attempt)
        yield step_of(number, "gives back", _set(given, number, end))
        if self.faults.cuts and state.faults:
            fewer = state.faults - 1
            yield fault_of(number, "gives back, and hears nothing", given._replace(faults=fewer))
            yield fault_of(number, "fails to give back", _set(state._replace(faults=fewer), number, end))

    def _done(self, state: State, number: int, me: Process) -> _Steps:
        yield from ()

    def _mine(self, db: Database, number: int, me: Process) -> Ticket | None:
        nonce = (number, me.attempt)
        found = (
            each
            for each in db.tickets
            if each.id == me.id and (each.nonce == nonce or not self.rules.compares_nonces)
        )
        return next(found, None)

    def _passes(self, state: State, number: int, me: Process) -> bool:
        return not self.rules.fences or self._mine(state.database, number, me) is not None

    def _written(self, state: State, me: Process) -> State:
        late = me.turn < state.turn
        return state._replace(problem="a write after another has taken") if late else state

    # Leases.

    def _renewal(self, state: State, number: int, me: Process) -> _Steps:
        name, members = (number, me.generation), dict(state.database.members)
        actor = f"{letter(number)}'s lease"
        if name not in members:
            if me.at != "done":
                if self.rules.renews_by_update:
                    yield Step(actor, "is lost", self._rejoin(state, number, me))
                else:
                    yield Step(actor, "is inserted again", self._member(state, name, live=True))
            return
        if not members[name]:
            yield Step(actor, "is renewed", self._member(state, name, live=True))
        in_hand = me.attempt if me.at in _OPEN else 0
        if not self.rules.reads_strays_first:
            if me.in_hand is None:
                yield Step(actor, "notes what is in hand", _put(state, number, in_hand=in_hand))
                return
            in_hand = me.in_hand
            state = _put(state, number, in_hand=None)
        own = [each for each in state.database.tickets if each.member == name]
        strays = [each for each in own if each.nonce != (number, in_hand)]
        if strays and self.rules.returns_strays:
            rest = tuple(each for each in state.database.tickets if each not in strays)
            after = _commit(state, state.database._replace(tickets=rest), durable=False)
            yield Step(actor, "returns strays", after)

    def _member(self, state: State, name: tuple[int, int], *, live: bool) -> State:
        members = tuple(sorted({**dict(state.database.members), name: live}.items()))
        return _commit(state, state.database._replace(members=members), durable=False)

    def _rejoin(self, state: State, number: int, me: Process) -> State:
        """Joins under a new name: a waiting process asks again, the body of a holder is cancelled."""
        state = _unlock(state, number)
        now = Process("idle" if me.at in _WAITS else "done", me.runs, me.generation + 1, me.attempt)
        return self._member(_set(state, number, now), (number, now.generation), live=True)

    def _clock(self, state: State) -> _Steps:
        for name, live in state.database.members:
            number, generation = name
            owner = state.processes[number]
            if live and (owner.runs != "runs" or owner.generation != generation):
                yield Step(
                    "time", f"ends the lease of {letter(number)}", self._member(state, name, live=False)
                )
            elif live and self.faults.late and state.faults and owner.at != "done":
                after = self._member(state._replace(faults=state.faults - 1), name, live=False)
                yield Step("time", f"ends the lease of {letter(number)}, which is late", after, fault=True)

    def _reaper(self, state: State) -> _Steps:
        """Deletes members whose lease has run out, as the poll of any running process does."""
        if not any(each.runs == "runs" for each in state.processes):
            return
        if not self.rules.marks_what_it_deletes:
            yield from self._look(state)
            return
        for name, live in state.database.members:
            if not live and not self._is_locked(state, name):
                gone = [each for each in state.database.tickets if each.member == name]
                yield from self._reap(state, name, mark=bool(gone))

    def _look(self, state: State) -> _Steps:
        if state.look is not None:
            name, lowest = state.look
            if not self._is_locked(state, name):
                found = dict(state.database.members).get(name) is False
                forgotten = state._replace(look=None)
                yield from (
                    self._reap(forgotten, name, mark=lowest)
                    if found
                    else [Step("reaper", "finds it renewed", forgotten)]
                )
            return
        for name, live in state.database.members:
            if not live:
                lowest = bool(state.database.tickets) and state.database.tickets[0].member == name
                seen = "the lowest ticket" if lowest else "no lowest ticket"
                after = state._replace(look=(name, lowest))
                yield Step("reaper", f"sees {seen} of {letter(name[0])}", after)

    def _reap(self, state: State, name: tuple[int, int], *, mark: bool) -> _Steps:
        db = state.database
        marked = db.mark or (mark and self.rules.leaves_a_mark)
        rest = tuple(each for each in db.tickets if each.member != name)
        members = tuple(each for each in db.members if each[0] != name)
        after = db._replace(tickets=rest, members=members, mark=marked)
        text = f"deletes {letter(name[0])}" + (", leaves a mark" if mark and marked else "")
        yield Step("reaper", text, _commit(state, after, durable=False))

    def _is_locked(self, state: State, name: tuple[int, int]) -> bool:
        """Returns whether a row lock of an open transaction keeps the member from being deleted.

        The foreign key of a new ticket locks its member; a fence FOR SHARE locks its ticket.
        """
        number, generation = name
        owner = state.processes[number]
        if owner.generation != generation:
            return False
        shared = owner.at == "checked" and self.rules.fences and self.rules.fences_for_share
        return owner.at == "inserted" or shared

    # Faults of processes and of the database.

    def _fate(self, state: State, number: int, me: Process) -> _Steps:
        spent = state._replace(faults=state.faults - 1)
        if me.runs == "runs" and me.at != "done" and state.faults:
            if self.faults.kills:
                dead = Process("done", "dead", me.generation)
                yield fault_of(number, "is killed", _set(_unlock(spent, number), number, dead))
            if self.faults.stops:
                yield fault_of(number, "is stopped", _put(spent, number, runs="stopped"))
        if me.runs == "stopped":
            yield fault_of(number, "goes on", _put(state, number, runs="runs"))
            if me.in_transaction and self.rules.ends_idle_transactions:
                yield Step("server", f"ends the transaction of {letter(number)}", self._abort(state, number))

    def _abort(self, state: State, number: int) -> State:
        state = _unlock(state, number)
        at = state.processes[number].at
        return _put(state, number, at="giving") if at == "checked" else _put(state, number, at="idle", id=0)

    def _failover(self, state: State) -> _Steps:
        if state.standby is None or state.standby == state.database:
            return
        yield Step("standby", "catches up", state._replace(standby=state.database), fault=True)
        if state.faults:
            after = state._replace(database=state.standby, faults=state.faults - 1)
            for number, each in enumerate(state.processes):
                if each.in_transaction:
                    after = self._abort(after, number)
            yield Step("standby", "is promoted", after, fault=True)


def _set(state: State, number: int, process: Process) -> State:
    return state._replace(processes=(*state.processes[:number], process, *state.processes[number + 1 :]))


def _put(state: State, number: int, **changes: object) -> State:
    return _set(state, number, state.processes[number]._replace(**changes))  # type: ignore[arg-type]


def _unlock(state: State, number: int) -> State:
    return state._replace(lock=None) if state.lock == number else state


def _commit(state: State, database: Database, *, durable: bool) -> State:
    """Commits. The standby applies in order, so that a durable commit takes all earlier ones with it."""
    if state.standby is not None and durable:
        return state._replace(database=database, standby=database)
    return state._replace(database=database)
