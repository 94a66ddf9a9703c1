"""The structure of an answer: its fields and their types, without their values."""

from collections import deque
from collections.abc import Iterator, Set
from typing import Final

from proxy import jsons
from proxy.compare import paths
from proxy.headers import media_type
from proxy.values import Answer, Json

MAX_PAIRS: Final = 500
_TEXT: Final = frozenset({("", "text")})


def leaves(answer: Answer, opaque: Set[str] = frozenset()) -> frozenset[tuple[str, str]]:
    """Returns (path, type) of every value of a JSON answer, objects and arrays too; other answers are "text".

    The only pair of another answer is ("", "text"). Paths are those of proxy.compare.paths; of the value at
    an `opaque` path only its own type is returned. Of more than MAX_PAIRS pairs those nearest to the top are
    returned.
    """
    if not paths.means_json(media_type(answer.content_type)[0]):
        return _TEXT
    try:
        value = jsons.load(answer.read(), rules=jsons.ANSWER)
    except jsons.BadJson:
        return _TEXT
    return _pairs(value, opaque)


def _pairs(value: Json, opaque: Set[str]) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    waiting = deque([("", value)])
    while waiting and len(found) < MAX_PAIRS:
        path, each = waiting.popleft()
        found.add((path, paths.type_of(each)))
        if path not in opaque:
            waiting.extend(_parts(path, each))
    return frozenset(found)


def _parts(path: str, value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from ((paths.child(path, key), each) for key, each in value.items())
    elif isinstance(value, list):
        yield from ((paths.element(path), each) for each in value)
