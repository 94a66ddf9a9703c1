"""Answers a question word for word from a conversation, by the sentences that share most words with it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

NOTHING: Final = "No consta en lo aportado."
MOST_SENTENCES: Final = 3
STEM: Final = 6  # letters: enough to distinguish words, few enough to ignore Spanish endings

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+")
_WORD: Final = re.compile(r"[^\W_]+")
_FUNCTION_WORDS: Final = """
al ante como con cual cuales cuando cuanto de del desde donde el en entre era es esta este fue ha
hay la las le lo los mas me mi no nos para pero por porque pregunta que quien se ser si sin sobre
son su sus te tiene un una uno unos y ya a o e u an and are did do does for from has have how in is
it of on or the to was were what when where which who why with
"""
_STOPWORDS: Final = frozenset(_FUNCTION_WORDS.split())


def reply(messages: Sequence[str]) -> str:
    """Returns the answer to the question at the end of the last of a user's `messages` (at least one).

    Each message ends with its question; the text before it may be quoted. A shared word counts more when
    fewer sentences have it. Returns NOTHING when no sentence shares a word.
    """
    contexts, questions = zip(*(split_question(message) for message in messages), strict=True)
    sentences = list(dict.fromkeys(s for context in contexts for s in _sentences(context)))
    stems = [_stems(sentence) for sentence in sentences]
    spread = Counter(stem for found in stems for stem in found)
    asked = _stems(questions[-1])
    scores = [sum(1 / spread[stem] for stem in sorted(found & asked)) for found in stems]
    best = max(scores, default=0.0)
    if not best:
        return NOTHING
    chosen = [sentence for sentence, score in zip(sentences, scores, strict=True) if score == best]
    return " ".join(chosen[:MOST_SENTENCES])


def split_question(message: str) -> tuple[str, str]:
    """Returns the text before the question, and the question: the last line, or a line's last sentence."""
    before, _, last = message.strip().rpartition("\n")
    if before:
        return before, last
    *others, question = _SENTENCE_END.split(last)
    return " ".join(others), question


def _sentences(text: str) -> list[str]:
    return [s.strip() for line in text.splitlines() for s in _SENTENCE_END.split(line) if s.strip()]


def _stems(text: str) -> set[str]:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    return {word[:STEM] for word in _WORD.findall(bare) if word not in _STOPWORDS}
