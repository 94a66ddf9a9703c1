"""Renders an event as a line of the log: as JSON for programs, in colours for people."""

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeAlias, TypedDict

import orjson
import structlog
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from proxy.errors import Refusal
from proxy.times import rfc3339_exact

Event: TypeAlias = dict[str, Any]
Render: TypeAlias = Callable[[Event], bytes]

_PLAIN: Final = (str, int, float, bool, type(None))
_PLAIN_TYPES: Final = frozenset(_PLAIN)
_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
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


def completed(event: Event, level: str) -> Event:
    """Returns the event with its context's fields, its level and its time; exceptions by type and position.

    An object that is passed by mistake, an exception or a record of ours, appears as its type, not its repr.
    """
    for variable, bound in copy_context().items():
        if (key := _key(variable)) is not None and bound is not Ellipsis:
            event.setdefault(key, bound)
    error = _error(event.pop("exc_info", None))
    for key, value in event.items():
        if type(value) not in _PLAIN_TYPES:
            event[key] = _plain(value)
    if error is not None:
        event["raised"] = describe(error)
    event["level"] = level
    event["timestamp"] = datetime.now(UTC)
    return event


def for_programs(event: Event) -> bytes:
    """Returns one line of JSON in UTF-8."""
    try:
        return orjson.dumps(event, option=_OPTIONS)
    except TypeError:  # half a character, or an integer beyond 64 bits
        return json.dumps(event, default=rfc3339_exact).encode() + b"\n"


def for_people(encoding: str) -> Render:
    """Returns a function that renders a line in colours, for a terminal with this encoding."""
    console = structlog.dev.ConsoleRenderer()

    def render(event: Event) -> bytes:
        line = console(None, "", event | {"timestamp": rfc3339_exact(event["timestamp"])})
        return f"{line}\n".encode(encoding, "replace")

    return render


@cache
def _key(variable: ContextVar[Any]) -> str | None:
    """Returns the field that structlog stores in this variable; None for any other library's variable."""
    name = variable.name
    return name.removeprefix(STRUCTLOG_KEY_PREFIX) if name.startswith(STRUCTLOG_KEY_PREFIX) else None


def _plain(value: object) -> object:
    if isinstance(value, _PLAIN):
        return value
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else type(value).__name__


def _error(told: object) -> BaseException | None:
    """Returns the exception of `exc_info`, in any of the forms that logging accepts."""
    if told is True:
        return sys.exc_info()[1]
    error = told[1] if isinstance(told, tuple) else told
    return error if isinstance(error, BaseException) else None


def describe(error: BaseException) -> list[FailureTrace]:
    """Describes the exception, its causes and contents: at most 8, each with its innermost 20 frames.

    Their texts are left out, because a text may quote a client (CONTRACT G10).
    """
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
