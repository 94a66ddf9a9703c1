"""The figures that a load measures, and their bounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.bench.processes import Kind
from tests.bench.stage import Stage

Sample: TypeAlias = Mapping[str, float]  # the figures of one round of one peer, by their keys
Verdict: TypeAlias = Literal["met", "MISSED", "void", ""]
BOTH: tuple[Kind, ...] = ("floor", "proxy")
PROXY: tuple[Kind, ...] = ("proxy",)


class Void(Exception):
    """Raised when a round's answers or the upstream's counters don't fit: its speed says nothing."""


@dataclass(frozen=True, slots=True)
class Must:
    """A bound of a figure, or of its ratio to the floor's."""

    sign: Literal["≥", "≤"]
    bound: float
    of_floor: bool = False

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}" + (" × floor" if self.of_floor else "")

    def judge(self, own: float | None, floor: float | None) -> Verdict:
        if own is None or (self.of_floor and not floor):
            return "void"
        value = own / floor if self.of_floor and floor else own
        return "met" if (value >= self.bound if self.sign == "≥" else value <= self.bound) else "MISSED"


def at_least(bound: float, *, of_floor: bool = False) -> Must:
    return Must("≥", bound, of_floor)


def at_most(bound: float, *, of_floor: bool = False) -> Must:
    return Must("≤", bound, of_floor)


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table: a key of the load's samples, and how it is printed."""

    key: str
    words: str
    digits: int = 0
    must: Must | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A load. `run` measures one peer for one round and returns its figures, or raises Void."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    run: Callable[[Stage, Kind], Sample]
    kinds: tuple[Kind, ...] = BOTH
    needs: tuple[str, ...] = ()  # programs
    once: bool = False  # one round is all it takes, however many are asked for
