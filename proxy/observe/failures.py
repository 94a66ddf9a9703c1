"""Describes exceptions by type and position: never by their text, which may quote a client (CONTRACT G10)."""

import traceback
from collections.abc import Iterator
from typing import Final, TypedDict

from proxy.errors import Refusal

_EXCEPTIONS: Final = 8
_FRAMES: Final = 20


class FailureTrace(TypedDict, total=False):
    """One exception.

    `frames` are `module:line`, outermost first; `kind` is a Refusal's own, `cause` the code of any error that
    has one, such as the store's.
    """

    type: str
    frames: list[str]
    kind: str
    cause: str


def describe(error: BaseException) -> list[FailureTrace]:
    """Describes the exception, its causes and contents: at most 8, each with its innermost 20 frames."""
    return [_failure(each) for each, _ in zip(_related(error), range(_EXCEPTIONS), strict=False)]


def _related(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        before = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        waiting += [before] if before else []
        waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else []


def _failure(error: BaseException) -> FailureTrace:
    kind = type(error)
    told = FailureTrace(type=f"{kind.__module__}.{kind.__qualname__}", frames=_frames(error))
    if isinstance(error, Refusal):
        told |= FailureTrace(kind=error.kind)
    if isinstance(cause := getattr(error, "cause", None), str):
        told |= FailureTrace(cause=cause)
    return told


def _frames(error: BaseException) -> list[str]:
    walked = traceback.walk_tb(error.__traceback__)
    return [f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in walked][-_FRAMES:]
