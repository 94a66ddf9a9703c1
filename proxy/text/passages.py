"""Cuts the texts of a case into passages, each short enough to send with a question."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from proxy.values import Json

Leaf: TypeAlias = tuple[str, str, str]  # path of the holder, path, text

LENGTH: Final = 350  # characters of a passage, at most
_LABEL_LENGTH: Final = 60
_PATH_LENGTH: Final = 120
_LEAF_COST: Final = 64  # an empty leaf takes as long as this many characters

# Borders for a cut, best first: between paragraphs, sentences, lines (but not after "Alergias:"), words.
_BORDERS: Final = tuple(map(re.compile, (r"\n\s*\n", r"(?<=[.!?…;])\s", r"(?<!:)\n", r"\s")))
_BLANKS: Final = re.compile(r"[^\S\n]+")
_NO_SPACE: Final = re.compile(r"[\t\v\f\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_BLANK_LINES: Final = re.compile(r" ?\n\s*\n\s*")


class PassageTooLong(Exception):
    """There is more to read than the caller has time for."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a case's text; `source` names its origin, `key` identifies it among those already sent."""

    source: str = field(repr=False)
    text: str = field(repr=False)
    key: str

    @property
    def line(self) -> str:
        """Returns the passage in the form of a message's line."""
        return f"[{self.source}] {self.text}"


def split(source_name: str, text: str) -> list[Passage]:
    """Cuts `text` into passages of at most 350 characters, at the best borders; no word is ever lost.

    Form feeds separate pages: if there are any, a passage's source names its page ("informe.pdf p. 40").
    """
    label = _label(source_name)
    pages = text.split("\f")
    return [
        _passage(f"{label} p. {number}" if len(pages) > 1 else label, piece)
        for number, page in enumerate(pages, start=1)
        for piece in _pieces(page, LENGTH)
    ]


def from_json(source: str, value: Json, most: int | None = None) -> list[Passage]:
    """Returns the leaves of `value` as lines "path: value", in passages.

    An object's own leaves share a passage if they fit. A long value needs several passages, each of which
    repeats
    its path. Raises PassageTooLong when there is more to write than `most` allows: one long key before
    thousands of values takes a second.
    """
    label = _label(source)
    leaves = _leaves("", "", value)
    groups = _groups(leaves if most is None else _limited(leaves, most))
    return [_passage(label, text) for text in _packed(groups)]


def _passage(source: str, text: str) -> Passage:
    return Passage(source, text, sha256(f"{source}\n{text}".encode()).hexdigest()[:16])


def _label(name: str) -> str:
    """Returns a name that leaves room for text: a long name is shortened to its two ends."""
    half = _LABEL_LENGTH // 2
    return name if len(name) <= _LABEL_LENGTH else f"{name[:half]}…{name[1 - half :]}"


def _pieces(text: str, length: int) -> Iterator[str]:
    rest = _tidied(text)
    start = 0
    while start < len(rest):
        end = _cut(rest, start, start + length)
        if piece := rest[start:end].strip():
            yield piece
        start = end


def _tidied(text: str) -> str:
    """Returns the text with one space for blanks in a row, and one empty line for several.

    Most texts have nothing to tidy: the check first takes a tenth of the time.
    """
    if "  " in text or _NO_SPACE.search(text):
        text = _BLANKS.sub(" ", text)
    if "\n\n" in text or "\n \n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip()


def _cut(text: str, start: int, end: int) -> int:
    """Returns the end of a passage: the best kind of border in its second half."""
    if end >= len(text):
        return len(text)
    for border in _BORDERS:
        cuts = [found.end() for found in border.finditer(text, (start + end) // 2, end)]
        if cuts:
            return cuts[-1]
    return end


def _groups(leaves: Iterable[Leaf]) -> Iterator[list[str]]:
    """Yields the lines of each object or list that holds leaves, none longer than a passage."""
    for _, group in groupby(leaves, key=itemgetter(0)):
        yield [line for _, path, text in group for line in _lines(path, text)]


def _limited(leaves: Iterable[Leaf], most: int) -> Iterator[Leaf]:
    for leaf in leaves:
        most -= len(leaf[1]) + len(leaf[2]) + _LEAF_COST
        if most < 0:
            raise PassageTooLong
        yield leaf


def _leaves(parent: str, path: str, value: Json) -> Iterator[Leaf]:
    """Yields each leaf, in order; an empty object or list is a leaf too."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(path, f"{path}.{key}" if path else key, item)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value, start=1):
            yield from _leaves(path, f"{path}[{number}]", item)
    else:
        plain = isinstance(value, str) and value.strip()
        yield parent, path, str(value) if plain else json.dumps(value, ensure_ascii=False)


def _lines(path: str, text: str) -> Iterable[str]:
    head = f"{path}: " if path else ""
    if len(head) > _PATH_LENGTH:
        return _pieces(head + text, LENGTH)
    return (head + piece for piece in _pieces(text, LENGTH - len(head)))


def _packed(groups: Iterable[list[str]]) -> Iterator[str]:
    """Joins lines to passages; a group is split only when it is longer than a passage."""
    packed = ""
    for group in groups:
        whole = "\n".join(group)
        for text in [whole] if len(whole) <= LENGTH else group:
            if packed and len(packed) + 1 + len(text) > LENGTH:
                yield packed
                packed = ""
            packed = f"{packed}\n{text}" if packed else text
    if packed:
        yield packed
