"""Caches the indexes of cases for the next question about them: in memory only, bounded, for minutes."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from proxy.concurrency.later import Later, Timer, later
from proxy.flows.shared.facts import Record
from proxy.text.index import Index
from proxy.values import folded_id

SECONDS: Final = 300.0  # after the last question
MEMORY: Final = 16 * 1024 * 1024


_Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Reading:
    record: Record = field(repr=False)
    index: Index = field(repr=False)
    memory: int
    end: Timer


class Readings:
    """A cache of one process. An entry is removed five minutes after its last question.

    An entry is also removed if the case has changed, if others need its room, and by `forget`. A lookup needs
    the record from which the index was made, and each question reads the record from the store. An erased
    case is not there, so nothing cached of it can get into an answer.
    """

    def __init__(self, later: Later = later, memory: int = MEMORY) -> None:
        self._later = later
        self._most = memory
        self._used = 0
        self._cached: OrderedDict[_Key, _Reading] = OrderedDict()  # in the order of their last use

    def get(self, record: Record) -> Index | None:
        """Returns the index of the case, if it was made of this very record."""
        found = self._cached.get(_key(record))
        if found is None or found.record != record:
            return None
        self._keep(record, found.index, found.memory)
        return found.index

    def put(self, record: Record, index: Index) -> None:
        """Stores the index, unless it takes more than a quarter of the memory."""
        memory = index.memory + record.size
        self._drop(_key(record))
        if memory * 4 <= self._most:
            self._keep(record, index, memory)

    def __len__(self) -> int:
        """Returns the number of cases in the cache."""
        return len(self._cached)

    def forget(self) -> None:
        """Drops everything."""
        for key in [*self._cached]:
            self._drop(key)

    def _keep(self, record: Record, index: Index, memory: int) -> None:
        key = _key(record)
        self._drop(key)
        while self._cached and self._used + memory > self._most:
            self._drop(next(iter(self._cached)))
        self._cached[key] = _Reading(record, index, memory, self._later(SECONDS, partial(self._drop, key)))
        self._used += memory

    def _drop(self, key: _Key) -> None:
        if (reading := self._cached.pop(key, None)) is not None:
            reading.end.cancel()
            self._used -= reading.memory


def _key(record: Record) -> _Key:
    return record.case.owner, folded_id(record.case.id)
