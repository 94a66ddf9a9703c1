"""Records the structure of real answers, to compare the contract's assumptions with it."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from proxy.compare.structure import leaves
from proxy.headers import media_type
from proxy.mapping.shape import Expression, Shape
from proxy.mapping.table import Route
from proxy.rollout.evidence.texts import Texts
from proxy.rollout.live import Live
from proxy.rollout.lookup import RequestContext
from proxy.rollout.recorder import Recorder
from proxy.store.rollout.evidence import SeenAnswer
from proxy.values import Answer, Side

# After the first answers of a kind (route, side, status), one per this many seconds is read.
_PAUSE_SECONDS: Final = 1.0
_FIRST: Final = 50
# Reading a longer answer would block the event loop; a short one of the same route will come.
_MOST: Final = 256 * 1024


class AnswerSampler:
    """A sampler of answers; it is on while there is a legacy server to learn from."""

    def __init__(self, live: Live, recorder: Recorder, monotonic: Callable[[], float], *, on: bool) -> None:
        self._live = live
        self._recorder = recorder
        self._monotonic = monotonic
        self._on = on
        self._texts = Texts()
        self._looked: dict[tuple[str, Side, int], tuple[int, float]] = {}

    def learn(self, name: str, side: Side, answer: Answer, context: RequestContext | None = None) -> None:
        """Records an answer's structure, if one is due.

        `context` is the caller: an error's text is recorded only once several callers got it.
        """
        if not self._on or answer.size > _MOST or not self._due((name, side, answer.status)):
            return
        kind, _ = media_type(answer.content_type)
        route = self._live.now.table.routes[name]
        found = leaves(answer, frozenset(_opaque(route)))
        if answer.status >= 400 and kind == "text/plain" and context is not None:
            found |= self._text(answer, context)
        self._recorder.saw(SeenAnswer(name, side, answer.status, answer.content_type[:80], found))

    def _text(self, answer: Answer, context: RequestContext) -> frozenset[tuple[str, str]]:
        caller = context.owner or context.asked.token
        own = (context.legacy_id, context.asked.organization)
        text = self._texts.note(
            answer.read().decode("utf-8", "replace"), caller, [each for each in own if each is not None]
        )
        return frozenset() if text is None else frozenset({(text, "error-text")})

    def _due(self, key: tuple[str, Side, int]) -> bool:
        count, last = self._looked.get(key, (0, 0.0))
        now = self._monotonic()
        if count >= _FIRST and now - last < _PAUSE_SECONDS:
            return False
        self._looked[key] = (count + 1, now)
        return True


def _opaque(route: Route[Any]) -> Iterator[str]:
    """Yields the fields of our own answer, whose contents are not read: they are the hospital's data."""
    return _fields(route.answer, "")


def _fields(shape: Shape | Expression, prefix: str) -> Iterator[str]:
    if isinstance(shape, Expression):
        return
    for field in shape.fields:
        path = f"{prefix}.{field.name}" if prefix else field.name
        if isinstance(field.value, Shape):
            yield from _fields(field.value, path)
        else:
            yield path
            yield f"[].{path}"
