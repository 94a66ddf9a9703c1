"""The two answers' bodies as JSON or text, with the candidate's words for the same things replaced."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from proxy import jsons
from proxy.compare.paths import means_json
from proxy.headers import media_type
from proxy.values import Answer, Json


@dataclass(frozen=True, slots=True)
class Text:
    """A body that isn't JSON."""

    text: str = field(repr=False)


Body: TypeAlias = "Text | Json"


def content_type(value: str) -> str:
    """Returns media type and charset in lower case; a malformed one as it is.

    JSON is UTF-8 whether or not its type says so: it has no such parameter (RFC 8259, section 11).
    """
    kind, parameters = media_type(value)
    if not kind:
        return value.strip().lower()
    charset = parameters.get("charset", "").lower()
    redundant = not charset or (means_json(kind) and charset == "utf-8")
    return kind if redundant else f"{kind}; charset={charset}"


def bodies(control: Answer, candidate: Answer, same: Sequence[tuple[str, str]]) -> tuple[Body, Body]:
    """Returns both bodies in the form to compare."""
    words = {other: word for word, other in same if other}
    before, after = _body(control, candidate), _body(candidate, control)
    if not words:
        return before, after
    # One pass, the longest word first, so that a replaced word is not replaced again.
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    return before, _Translation(pattern, words).of(after)


def _body(answer: Answer, other: Answer) -> Body:
    """Returns JSON if the body parses and its content type, or the other side's, says JSON; else text.

    So a wrong content type is one difference, and doesn't hide the fields.
    """
    own = _says_json(answer)
    if own or _says_json(other):
        try:
            value = jsons.load(answer.read(), rules=jsons.ANSWER)
        except jsons.BadJson:
            return Text(_text(answer))
        if own or isinstance(value, dict | list):
            return value
    return Text(_text(answer))


def _says_json(answer: Answer) -> bool:
    return means_json(media_type(answer.content_type)[0])


def _text(answer: Answer) -> str:
    charset = media_type(answer.content_type)[1].get("charset", "").lower()
    if charset == "iso-8859-1":
        return answer.read().decode("latin-1")
    return answer.read().decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class _Translation:
    pattern: re.Pattern[str]
    words: dict[str, str] = field(repr=False)

    def of(self, body: Body) -> Body:
        return Text(self._text(body.text)) if isinstance(body, Text) else self._value(body)

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self._text(value)
            case list():
                return [self._value(each) for each in value]
            case dict():
                return {key: self._value(each) for key, each in value.items()}
            case _:
                return value

    def _text(self, text: str) -> str:
        return self.pattern.sub(lambda found: self.words[found[0]], text)
