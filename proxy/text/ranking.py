"""Chooses the passages to send with a question."""

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Set
from itertools import chain
from typing import Final, TypeAlias, TypeVar

from proxy.text.index import Index
from proxy.text.passages import Passage
from proxy.text.words import words

T = TypeVar("T")
Find: TypeAlias = Callable[[str], Sequence[int]]

_STEM_FROM: Final = 5  # shorter words hardly have inflections that a prefix finds
_STEM_SHARE: Final = 0.6  # "medicacion" finds "medicamentos", "operaron" finds "operacion"

_SPANISH: Final = (
    "a al algo algun alguna alguno ante como con cual cuales cuando cuanta cuantas cuanto cuantos cuya cuyo "
    "de del desde donde durante e el ella ellas ellos en entre era eran es esa ese eso esta estan estas este "
    "esto estos fue fueron ha han hasta hay la las le les lo los mas me mi mientras muy no nos o para pero "
    "por porque que quien quienes se segun ser si sido sin sobre son su sus tambien te tiene tienen tu u un "
    "una unas uno unos y ya"
)
_ENGLISH: Final = (
    "a about an and any are as at be been by can could did do does for from had has have he her his how i if "
    "in is it its me of on or she so than that the their them then there these they this to was were what "
    "when where which who whom whose why will with would you your"
)
_STOPWORDS: Final = frozenset(_SPANISH.split()) | frozenset(_ENGLISH.split())

# BM25 (Robertson and Zaragoza, 2009, section 3.5) with the usual constants.
_SATURATION: Final = 1.2
_LENGTH_SHARE: Final = 0.75
_LEAST_WEIGHT: Final = 1e-6  # the weight of a word that most passages have
# In a text, in a source: a word of a file's name says less than one of its text.
_WEIGHTS: Final = (1.0, 0.3)
# Occurrences that are weighed in a row: about half a millisecond.
_STEP: Final = 1_000


def choose(index: Index, question: str, budget_units: int, exclude: Set[str]) -> list[Passage]:
    """Returns the passages to send: the best for `question`, then others in their order, as they fit.

    `budget_units` counts UTF-16 units of `Passage.line`, and one for its line end (CONTRACT Q04); `exclude`
    holds the keys of passages already sent. Any question is valid: without a word that the index has, the
    order of the document decides.
    """
    return whole(choosing(index, question, budget_units, exclude))


def choosing(
    index: Index, question: str, budget_units: int, exclude: Set[str]
) -> Generator[None, None, list[Passage]]:
    """Returns the result of `choose`, in steps of half a millisecond."""
    unsent = [number for number, key in enumerate(index.keys) if key not in exclude]
    ranked = yield from _ranked(index, unsent, question)
    return [index.passage(number) for number in _fitting(index, chain(ranked, unsent), budget_units)]


def whole(steps: Generator[None, None, T]) -> T:
    """Runs all steps at once; returns their result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


def _fitting(index: Index, numbers: Iterable[int], budget: int) -> Iterable[int]:
    least = min(index.costs, default=0)
    chosen: dict[int, None] = {}
    for number in numbers:
        if budget < least:
            break
        if index.costs[number] <= budget and number not in chosen:
            chosen[number] = None
            budget -= index.costs[number]
    return chosen


def _ranked(index: Index, unsent: Sequence[int], question: str) -> Generator[None, None, list[int]]:
    """Returns the numbers of the unsent passages that have a word of the question, the best first."""
    scores: dict[int, float] = dict.fromkeys(unsent, 0.0)
    if not unsent:
        return []
    mean = sum(index.lengths[number] for number in unsent) / len(unsent) or 1.0
    done = 0
    for (find, letters), times in _terms(index, question).items():
        occurrences = find(letters)
        counts = _counted(occurrences, scores)
        _weigh(scores, counts, times, index.lengths, mean)
        done += len(occurrences) + 10
        if done > _STEP:
            done = 0
            yield
    found = [number for number in unsent if scores[number]]
    return sorted(found, key=lambda number: -scores[number])


def _counted(occurrences: Sequence[int], unsent: Mapping[int, float]) -> dict[int, float]:
    """Returns how often each unsent passage has a word; a word in its source counts less."""
    counts: dict[int, float] = {}
    for occurrence in occurrences:
        number = occurrence >> 1
        if number in unsent:
            counts[number] = counts.get(number, 0.0) + _WEIGHTS[occurrence & 1]
    return counts


def _weigh(
    scores: dict[int, float], counts: Mapping[int, float], times: int, lengths: Sequence[int], mean: float
) -> None:
    """Adds the score of a word, which the question has `times` over, to each passage that has it."""
    rarity = math.log((len(scores) - len(counts) + 0.5) / (len(counts) + 0.5))
    weight = times * max(rarity, _LEAST_WEIGHT) * (_SATURATION + 1)
    fixed, by_length = _SATURATION * (1 - _LENGTH_SHARE), _SATURATION * _LENGTH_SHARE / mean
    for number, count in counts.items():
        scores[number] += weight * count / (count + fixed + by_length * lengths[number])


def _terms(index: Index, question: str) -> Mapping[tuple[Find, str], int]:
    """Returns the terms to look for, and how often: the telling words, and beginnings of longer ones."""
    once = dict.fromkeys(words(question))
    telling = [word for word in once if word not in _STOPWORDS] or list(once)
    beginnings = [word[: max(4, int(_STEM_SHARE * len(word)))] for word in telling if len(word) >= _STEM_FROM]
    return Counter(
        [*((index.whole, word) for word in telling), *((index.beginning, each) for each in beginnings)]
    )
