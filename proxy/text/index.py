"""An index of the words of a case's passages, ready for every question about the case."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Final, Self

from proxy.text.passages import Passage
from proxy.text.units import utf16_units
from proxy.text.words import words, words_of_names

NUMBERS: Final = "I"
_LAST: Final = "\U0010ffff"  # sorts behind every letter


@dataclass(frozen=True, slots=True)
class Index:
    """Passages in their order, each key once.

    All values are plain and in columns, so that a worker process can hand the index over quickly.

    `costs` are the UTF-16 units of each passage's line and line end, `lengths` its numbers of words. A word's
    item in `occurrences` has each of its occurrences: twice the passage's number, plus one if the word is in
    the passage's source.
    """

    sources: Sequence[str] = field(repr=False)
    texts: Sequence[str] = field(repr=False)
    keys: Sequence[str] = field(repr=False)
    costs: Sequence[int] = field(repr=False)
    lengths: Sequence[int] = field(repr=False)
    words: Sequence[str] = field(repr=False)  # sorted
    occurrences: Sequence[bytes] = field(repr=False)

    @classmethod
    def of(cls, passages: Iterable[Passage]) -> Self:
        once = {passage.key: passage for passage in passages}.values()
        found: defaultdict[str, array[int]] = defaultdict(lambda: array(NUMBERS))
        lengths = [_note(found, number, passage) for number, passage in enumerate(once)]
        return cls(
            sources=tuple(passage.source for passage in once),
            texts=tuple(passage.text for passage in once),
            keys=tuple(passage.key for passage in once),
            costs=tuple(utf16_units(passage.line) + 1 for passage in once),
            lengths=tuple(lengths),
            words=tuple(sorted(found)),
            occurrences=tuple(found[word].tobytes() for word in sorted(found)),
        )

    @property
    def memory(self) -> int:
        """Returns the approximate number of bytes in memory."""
        columns = (self.sources, self.texts, self.keys, self.words, self.occurrences)
        return sum(getsizeof(each) for column in columns for each in column) + 80 * len(self.keys)

    def passage(self, number: int) -> Passage:
        return Passage(self.sources[number], self.texts[number], self.keys[number])

    def whole(self, word: str) -> Sequence[int]:
        """Returns the occurrences of a word."""
        at = bisect_left(self.words, word)
        return _numbers(self.occurrences[at : at + 1]) if self.words[at : at + 1] == (word,) else ()

    def beginning(self, letters: str) -> Sequence[int]:
        """Returns the occurrences of all words that begin with `letters`."""
        first, last = bisect_left(self.words, letters), bisect_left(self.words, letters + _LAST)
        return _numbers(self.occurrences[first:last])


def _note(found: defaultdict[str, "array[int]"], number: int, passage: Passage) -> int:
    """Adds a passage's words; returns their number."""
    in_text, in_source = words_of_names(passage.text), words(passage.source)
    for word in in_text:
        found[word].append(2 * number)
    for word in in_source:
        found[word].append(2 * number + 1)
    return len(in_text) + len(in_source)


def _numbers(occurrences: Iterable[bytes]) -> Sequence[int]:
    return memoryview(b"".join(occurrences)).cast(NUMBERS)
