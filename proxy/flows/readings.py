"""Keeps what was read of cases for the next question about them: in memory only, not much, not long."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from proxy.flows.facts import Record
from proxy.later import Later, Timer, later
from proxy.text.index import Index
from proxy.values import folded_id

SECONDS: Final = 300.0  # after the last question
MEMORY: Final = 16 * 1024 * 1024


_Place: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Reading:
    record: Record = field(repr=False)
    index: Index = field(repr=False)
    memory: int
    end: Timer


class Readings:
    """One process's. A reading leaves five minutes after its last question; when the case has changed; when
    others need its room; and with `forget`.

    It is found by the record that it was made from, and a record comes out of the store for each question: a
    case that was erased is not found there, so nothing that is kept here is told.
    """

    def __init__(self, later: Later = later, memory: int = MEMORY) -> None:
        self._later = later
        self._most = memory
        self._used = 0
        self._kept: OrderedDict[_Place, _Reading] = OrderedDict()  # the one that was last asked for last

    def get(self, record: Record) -> Index | None:
        """Returns what was read of the case, if it is still what the record says."""
        found = self._kept.get(_place(record))
        if found is None or found.record != record:
            return None
        self._keep(record, found.index, found.memory)
        return found.index

    def put(self, record: Record, index: Index) -> None:
        """Keeps what was read, unless it takes a quarter of the room."""
        memory = index.memory + record.size
        self._drop(_place(record))
        if memory * 4 <= self._most:
            self._keep(record, index, memory)

    def __len__(self) -> int:
        """Returns of how many cases something is kept."""
        return len(self._kept)

    def forget(self) -> None:
        """Drops everything."""
        for place in [*self._kept]:
            self._drop(place)

    def _keep(self, record: Record, index: Index, memory: int) -> None:
        place = _place(record)
        self._drop(place)
        while self._kept and self._used + memory > self._most:
            self._drop(next(iter(self._kept)))
        self._kept[place] = _Reading(record, index, memory, self._later(SECONDS, partial(self._drop, place)))
        self._used += memory

    def _drop(self, place: _Place) -> None:
        if (reading := self._kept.pop(place, None)) is not None:
            reading.end.cancel()
            self._used -= reading.memory


def _place(record: Record) -> _Place:
    return record.case.owner, folded_id(record.case.id)
