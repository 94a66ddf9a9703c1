"""Chooses the passages that go out with a question."""

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence, Set
from contextlib import closing
from typing import Final

from proxy.text.passages import Passage
from proxy.text.units import utf16_units

_WORD: Final = re.compile(r"[^\W_]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_STEM_FROM: Final = 5  # shorter words have hardly an inflection that a prefix would catch
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

_TABLE: Final = (
    "CREATE VIRTUAL TABLE passage USING fts5(body, source, tokenize = 'unicode61 remove_diacritics 2')"
)
# A word of a file's name says less than one of its text.
_QUERY: Final = "SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY bm25(passage, 1.0, 0.3), rowid"


def choose(passages: Sequence[Passage], question: str, budget_units: int, exclude: Set[str]) -> list[Passage]:
    """The passages to send: those that answer `question` best, then others in their order, as they fit.

    `budget_units` counts UTF-16 units of `Passage.line`, and one for its line end (CONTRACT Q04); `exclude`
    holds the keys of passages already sent. No question is an error: without a known word, the order of
    the document decides. Takes some 100 ms for a document of 200 pages: call it off the event loop.
    """
    unsent = list({passage.key: passage for passage in passages if passage.key not in exclude}.values())
    ranked = _ranked(unsent, _match(question))
    return _fitting([*ranked, *unsent], budget_units)


def _fitting(passages: Iterable[Passage], budget: int) -> list[Passage]:
    chosen: dict[str, Passage] = {}
    for passage in passages:
        cost = utf16_units(passage.line) + 1
        if cost <= budget and passage.key not in chosen:
            chosen[passage.key] = passage
            budget -= cost
    return list(chosen.values())


def _ranked(passages: Sequence[Passage], match: str) -> list[Passage]:
    if not match:
        return []
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA temp_store = MEMORY")  # an isolated process has no folder for large sorts
        database.execute(_TABLE)
        rows = ((number, _CAMEL.sub(" ", each.text), each.source) for number, each in enumerate(passages))
        database.executemany("INSERT INTO passage (rowid, body, source) VALUES (?, ?, ?)", rows)
        return [passages[number] for (number,) in database.execute(_QUERY, (match,))]


def _match(question: str) -> str:
    """The question for FTS5: its telling words, each quoted, and the beginnings of the longer ones."""
    words = dict.fromkeys(_WORD.findall(_folded(question)))
    telling = [word for word in words if word not in _STOPWORDS] or list(words)
    return " OR ".join(term for word in telling for term in _terms(word))


def _terms(word: str) -> list[str]:
    if len(word) < _STEM_FROM:
        return [f'"{word}"']
    return [f'"{word}"', f'"{word[: max(4, int(_STEM_SHARE * len(word)))]}"*']


def _folded(text: str) -> str:
    """As the tokenizer sees it: lower case, without diacritics."""
    marked = unicodedata.normalize("NFKD", text.lower())
    return "".join(sign for sign in marked if not unicodedata.combining(sign))
