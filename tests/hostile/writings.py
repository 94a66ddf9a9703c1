"""JSON as programs write it: charsets, spellings of names, NULs, halves of emojis, keys twice, numbers; each
combination with the verdict that the contract has for it, told from how it was made and not by reading it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Final

from tests.flows._wire import part
from tests.hostile.sound import SAME, WEBHOOK, Hostile, Sound, Trick, done, event, in_parts

_REFUSED: Final = {"new_case": 500, "query": 400, "speech_to_text": 400, WEBHOOK: 400}
_QUESTIONS: Final = frozenset({"query", "speech_to_text"})
_EVERYWHERE: Final = frozenset(_REFUSED)
_NOWHERE: Final[Set[str]] = frozenset()
_NAMES: Final = {"query": "query", "speech_to_text": "audioFile"}

# How a text is encoded and what its type declares; the routes that read it (CONTRACT N08, Q02, S02).
_CHARSETS: Final[dict[str, tuple[str, str | None, Set[str]]]] = {
    "UTF-8": ("utf-8", None, _EVERYWHERE),
    "UTF-8 with a mark": ("utf-8-sig", None, _EVERYWHERE),
    "UTF-8, declared": ("utf-8", "UTF-8", _QUESTIONS),
    "UTF-8, said to be what nobody knows": ("utf-8", "klingon", _QUESTIONS),
    "UTF-8, said to be a codec": ("utf-8", "unicode-escape", _QUESTIONS),
    "UTF-8, said to be Latin-1": ("utf-8", "iso-8859-1", _QUESTIONS),
    "Latin-1": ("latin-1", None, _QUESTIONS),
    "Latin-1, declared": ("latin-1", "latin1", _QUESTIONS),
    "Latin-1, said to be UTF-8": ("latin-1", "utf-8", _QUESTIONS),
    "Windows-1252": ("cp1252", None, _QUESTIONS),
    "UTF-16, declared": ("utf-16", "utf-16", _QUESTIONS),
    "UTF-16": ("utf-16", None, _NOWHERE),
    "UTF-16 without a mark": ("utf-16-le", None, _NOWHERE),
    "UTF-32": ("utf-32", None, _NOWHERE),
}
# Of a question's name; an absent one is an empty question, and any audio.
_SPELLINGS: Final = ("exact", "capital", "capitals", "beside another", "absent")
_ENDS: Final[dict[str, tuple[str, Set[str]]]] = {
    "nothing": ("", _EVERYWHERE),
    "blanks": (" \r\n\t", _EVERYWHERE),
    "NULs": ("\0" * 9, _QUESTIONS),
    "NULs and blanks": ("\0\r\n\0 ", _QUESTIONS),
    "a sign behind NULs": ("\0x", _NOWHERE),
}
# What stands beside it; the routes that take it.
_ODDITIES: Final[dict[str, tuple[str, Set[str]]]] = {
    "a number": ("12345.0", _EVERYWHERE),
    "the least number": ("1e-999", _EVERYWHERE),
    "too large a number": ("1e400", _NOWHERE),
    "300 digits": ("9" * 300, _EVERYWHERE),
    "301 digits": ("9" * 301, _NOWHERE),
    "NaN": ("NaN", _NOWHERE),
    "as deep as may be": ("[" * 62 + "]" * 62, _EVERYWHERE),
    "too deep": ("[" * 65 + "]" * 65, _NOWHERE),
    "an emoji": (r'"\ud83d\ude00"', _EVERYWHERE),
    "half an emoji": (r'"\ud83d"', _EVERYWHERE - _QUESTIONS),
    "the other half as a name": (r'{"\ude00": 1}', _EVERYWHERE - _QUESTIONS),
    "a key twice": ('{"a": 1, "a": 2}', frozenset({"new_case"})),
    "a key twice, once escaped": (r'{"a": 1, "\u0061": 2}', frozenset({"new_case"})),
}
_VALUES: Final = {"a text": '"ñ “%s”"', "no text": '["ñ %s"]'}


@dataclass(frozen=True, slots=True)
class _Writing:
    """One combination, for one route."""

    route: str
    charset: str
    spelling: str
    end: str
    oddity: str
    value: str

    @property
    def name(self) -> str:
        told = f"{self.charset}, {self.spelling}, {self.end}, {self.oddity}, {self.value}"
        return f"JSON written in {told}"

    @property
    def taken(self) -> bool:
        takers = _CHARSETS[self.charset][2] & _ENDS[self.end][1] & _ODDITIES[self.oddity][1]
        if self.route not in takers or self.route not in _QUESTIONS:
            return self.route in takers
        if self.spelling == "absent":
            return self.route == "speech_to_text"
        return self.value == "a text"

    def trick(self) -> Trick:
        return Trick(self.name, self._made, {SAME if self.taken else _REFUSED[self.route]}, on={self.route})

    def _made(self, sound: Sound, canary: bytes) -> bytes:
        encoding, declared, _ = _CHARSETS[self.charset]
        text = self._text(_VALUES[self.value].replace("%s", canary.decode()))
        if encoding == "latin-1":
            text = text.replace("“", "").replace("”", "")
        body = (text + _ENDS[self.end][0]).encode(encoding)
        if self.route == "new_case":
            return sound.with_body(in_parts(part("ehr", body))).render()
        kind = f"application/json; charset={declared}" if declared else "application/json"
        return sound.with_body(body, kind.encode()).render()

    def _text(self, value: str) -> str:
        oddity = f'"more": {_ODDITIES[self.oddity][0]}'
        if self.route == "new_case":
            return f'{{"id": "p-1", "nota": {value}, {oddity}}}'
        if self.route == WEBHOOK:
            told = event("webhook").decode()
            return told.replace('"event"', f'"nota": {value}, {oddity}, "event"', 1)
        return f"{{{self._members(_NAMES[self.route], value)}{oddity}}}"

    def _members(self, name: str, value: str) -> str:
        return {
            "exact": f'"{name}": {value}, ',
            "capital": f'"{name.capitalize()}": {value}, ',
            "capitals": f'"{name.upper()}": {value}, ',
            "beside another": f'"{name.upper()}": 1, "{name}": {value}, "{name.capitalize()}": 2, ',
            "absent": f'"{name}s": {value}, ',
        }[self.spelling]


def _all() -> Iterator[_Writing]:
    for charset, end, oddity in product(_CHARSETS, _ENDS, _ODDITIES):
        for route in _REFUSED:
            if route not in _QUESTIONS and _CHARSETS[charset][1]:
                continue  # a part's own charset is the form's, and a webhook's is none (RFC 8259, section 11)
            spellings = _SPELLINGS if route in _QUESTIONS else ("exact",)
            for spelling, value in product(spellings, _VALUES):
                yield _Writing(route, charset, spelling, end, oddity, value)


def writings(sounds: Mapping[str, Sound], count: int, random: Random) -> Iterator[Hostile]:
    """About so many combinations that chance picks: as many of each route, as many to be taken as not."""
    groups: defaultdict[tuple[str, bool], list[_Writing]] = defaultdict(list)
    for writing in _all():
        groups[writing.route, writing.taken].append(writing)
    for among in groups.values():
        for writing in random.sample(among, min(count // len(groups), len(among))):
            yield done(writing.trick(), sounds[writing.route])
