"""The catalogue of hostile input: every trick on all its routes, or on one; mutants and writings."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from tests.hostile import documents, forms, framing, heads, targets, turns
from tests.hostile.mutants import mutants
from tests.hostile.sound import Hostile, Sound, Trick, canary, done
from tests.hostile.writings import writings

TRICKS: Final[list[Trick]] = [
    *framing.TRICKS,
    *heads.TRICKS,
    *targets.TRICKS,
    *forms.TRICKS,
    *documents.TRICKS,
    *turns.TRICKS,
]
CANARIES: Final = frozenset(canary(trick.name) for trick in TRICKS)


def everything(sounds: Mapping[str, Sound], of_mutants: int, random: Random) -> Iterator[Hostile]:
    for trick in TRICKS:
        for route in sorted(trick.on):
            yield done(trick, sounds[route])
    yield from mutants(sounds, of_mutants, random)
    yield from writings(sounds, of_mutants, random)


def sample(sounds: Mapping[str, Sound], of_mutants: int, random: Random) -> Iterator[Hostile]:
    """Yields each trick on a route that chance picks."""
    for trick in TRICKS:
        yield done(trick, sounds[random.choice(sorted(trick.on))])
    yield from mutants(sounds, of_mutants, random)
