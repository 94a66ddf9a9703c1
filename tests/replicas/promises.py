"""The promises to the clients of the replicas: answered cases, chunks, transcriptions, changes of modes."""

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Final

from tests.apart.belongings import Belongings, canaries

# Their newCase never moves to the legacy server; that of the others does, all the time.
STAYING: Final = ("Clínica Norte", "Clínica Sur", "Clínica Este")
MOVING: Final = ("Clínica Mudanza", "Clínica Traslado")


@dataclass
class Person:
    """A user with words that nobody else has; `later` are cases that the legacy server made in a fault."""

    mail: str
    organization: str
    words: dict[str, str]
    token: str = ""
    cases: list[str] = field(default_factory=list)
    later: dict[str, str] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        return self.organization in MOVING


@dataclass
class Attempt:
    """A newCase for a patient of its own. `unknown`: the answer was that nobody can know its outcome.

    Without a key it is sent once. `answer` is the body of its first 200.
    """

    number: int
    person: Person
    key: str | None
    token: str
    answer: bytes | None = None
    unknown: bool = False
    tries: int = 0

    @property
    def patient(self) -> str:
        return f"p-{self.number}"

    @property
    def case(self) -> str:
        made: dict[str, Any] = json.loads(self.answer or b"{}")
        return str(made.get("michiq_uuid", ""))


@dataclass
class Writer:
    """One who sends the chunks of a recording, each again until it is taken. `sent` may be there or not."""

    taken: list[str] = field(default_factory=list)
    sent: str | None = None
    repeated: set[str] = field(default_factory=set)


@dataclass
class Visit:
    """The recordings under one id of a person, by one writer or several."""

    person: Person
    legacy_id: str
    writers: list[Writer]
    is_case: bool
    texts: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Promises:
    """All that was promised, and what was wrong at once with an answer."""

    random: Random
    people: list[Person] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    belongings: Belongings = field(default_factory=Belongings)
    answered: Counter[str] = field(default_factory=Counter)
    undocumented: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    agreed: list[float] = field(default_factory=list)
    found_later: int = 0

    def new_person(self, organization: str) -> Person:
        number = len(self.people)
        person = Person(f"user{number}@clinica.example", organization, canaries(self.random))
        self.people.append(person)
        self.belongings.give(person.mail, person.mail, *person.words.values())
        return person

    def new_attempt(self, person: Person, *, keyed: bool, token: str) -> Attempt:
        number = len(self.attempts)
        attempt = Attempt(number, person, f"key-{number}" if keyed else None, token)
        self.attempts.append(attempt)
        return attempt


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()
