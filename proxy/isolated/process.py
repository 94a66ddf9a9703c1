"""Runs tasks inside an isolated process, one after the other."""

import os
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

from proxy.isolated import wire
from proxy.isolated.confinement import confine


def run(channel: int, readable: Sequence[str]) -> NoReturn:
    """Confines this process, then answers the tasks from `channel`, until that is closed."""
    try:
        confine(channel, readable)
        _answer_all(socket.socket(fileno=3))
    finally:
        os._exit(0)


def nothing() -> None:
    """Does nothing: a task that shows that a process is ready."""


def _answer_all(channel: socket.socket) -> None:
    while (request := wire.receive(channel)) is not None:
        channel.sendall(_answered(*request))


def _answered(data: bytearray, files: Sequence[int]) -> bytes:
    with _Outcome() as outcome:
        task, args = wire.opened(data, files)
        outcome.answer = wire.returned(task(*args))
    return outcome.answer


class _Outcome:
    """Holds the answer of a task without a result: a parser may raise anything, and the next task goes on."""

    def __init__(self) -> None:
        self.answer = b""

    def __enter__(self) -> "_Outcome":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, wire.UnknownModule):
            self.answer = wire.unknown()
        elif isinstance(error, Exception):
            self.answer = wire.raised(error)
        return isinstance(error, Exception)
