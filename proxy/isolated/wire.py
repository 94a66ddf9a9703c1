"""Encodes messages to and from an isolated process: a length of 8 bytes, then a pickle.

A task is trusted, an answer is not: a hostile file may control the process that made it, and unpickling runs
what a pickle names. An answer may therefore name one thing only, `value`, which fills the fields of a
dataclass of the task's own module, without calling any of its code. JSON would need a second form for
bytes, and takes longer for the large texts of answers.
"""

import io
import os
import pickle
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, NoReturn

HEADER: Final = struct.Struct(">Q")
MAX_FILES: Final = 16
UNKNOWN: Final = ("unknown",)  # the answer of a process without the task's module
MAX_ANSWER: Final = 512 * 1024 * 1024
_PROTOCOL: Final = 5

# Errors of reading data that is no pickle, or names something that it must not.
BAD_PICKLE: Final = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class UnknownModule(Exception):
    """The task's module was not imported before the process was confined."""


@dataclass(frozen=True, slots=True)
class Request:
    """A task in the form that is sent; `files` are descriptors of this process, to close after sending."""

    data: bytes = field(repr=False)
    files: Sequence[int]

    def close(self) -> None:
        for each in self.files:
            os.close(each)


def request(task: Callable[..., object], args: Sequence[object]) -> Request:
    """Returns the task with its arguments; an open file in them is passed as a read-only descriptor."""
    buffer = io.BytesIO()
    with ExitStack() as opened_files:
        pickler = _RequestPickler(buffer, opened_files)
        pickler.dump((task, args))
        opened_files.pop_all()
    data = buffer.getvalue()
    return Request(HEADER.pack(len(data)) + data, pickler.files)


def receive(channel: socket.socket) -> tuple[bytearray, list[int]] | None:
    """Returns the next task's pickle and descriptors; None when the other end is closed."""
    first, files, _, _ = socket.recv_fds(channel, HEADER.size, MAX_FILES)
    if len(first) < HEADER.size:
        return None
    data = bytearray(HEADER.unpack(first)[0])
    rest = memoryview(data)
    while rest:
        taken = channel.recv_into(rest)
        if not taken:
            return None
        rest = rest[taken:]
    return data, files


def opened(data: bytes | bytearray, files: Sequence[int]) -> tuple[Callable[..., object], Sequence[object]]:
    """Returns the task and its arguments; raises UnknownModule."""
    task, args = _RequestUnpickler(data, files).load()
    return task, args


def returned(result: object) -> bytes:
    """Returns the answer of a task with a result; raises the errors of pickling."""
    return _answer(("returned", result))


def raised(error: BaseException) -> bytes:
    """Returns the answer of a task that failed, in plain values: error types as names, to be compared."""
    names = [each.__qualname__ for each in type(error).__mro__]
    plain = [each for each in error.args if isinstance(each, str | int | float)]
    return _answer(("raised", names, plain))


def unknown() -> bytes:
    return _answer(UNKNOWN)


def answer(data: bytes | bytearray, task: Callable[..., object]) -> tuple[Any, ...]:
    """Returns the content of an answer that `returned`, `raised` or `unknown` made; raises BAD_PICKLE."""
    found = _AnswerUnpickler(data, vars(sys.modules[task.__module__])).load()
    if not isinstance(found, tuple) or not found:
        raise pickle.UnpicklingError("no answer")
    return found


def value() -> NoReturn:
    """Stands for a dataclass in answers; the reader puts `_Fill` in its position."""
    raise pickle.UnpicklingError("never called")


def handed() -> NoReturn:
    """Stands for a descriptor in tasks; the reader puts the file itself in its position."""
    raise pickle.UnpicklingError("never called")


class _RequestPickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, opened_files: ExitStack) -> None:
        super().__init__(buffer, _PROTOCOL)
        self._opened_files = opened_files
        self.files: list[int] = []

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, io.IOBase):
            self.files.append(_for_reading(obj.fileno()))
            self._opened_files.callback(os.close, self.files[-1])
            return handed, (len(self.files) - 1,)
        return NotImplemented


def _for_reading(descriptor: int) -> int:
    """Returns the file opened again: with a position of its own, and for reading only."""
    with suppress(OSError):
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    return os.dup(descriptor)


class _RequestUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes | bytearray, files: Sequence[int]) -> None:
        super().__init__(io.BytesIO(data))
        self._files = [io.FileIO(each) for each in files]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (handed.__module__, handed.__qualname__):
            return self._files.__getitem__
        if module not in sys.modules:
            raise UnknownModule
        return super().find_class(module, name)


class _AnswerPickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if is_dataclass(obj) and not isinstance(obj, type):
            content = [getattr(obj, each.name) for each in fields(obj)]
            return value, (type(obj).__qualname__, *content)
        return NotImplemented


class _AnswerUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes | bytearray, classes: Mapping[str, object]) -> None:
        super().__init__(io.BytesIO(data))
        self._fill = _Fill(classes)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (value.__module__, value.__qualname__):
            return self._fill
        raise pickle.UnpicklingError("not a value")


class _Fill:
    """Makes the dataclasses of an answer; refuses a state, by which a pickle could set attributes."""

    __slots__ = ("_classes",)

    def __init__(self, classes: Mapping[str, object]) -> None:
        self._classes = classes

    def __call__(self, name: str, *content: object) -> object:
        kind = self._classes.get(name)
        if not isinstance(kind, type) or not is_dataclass(kind) or len(content) != len(fields(kind)):
            raise pickle.UnpicklingError("not a value")
        made = object.__new__(kind)
        for each, item in zip(fields(kind), content, strict=True):
            object.__setattr__(made, each.name, item)
        return made

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("not a value")


def _answer(content: tuple[object, ...]) -> bytes:
    buffer = io.BytesIO()
    buffer.write(bytes(HEADER.size))
    _AnswerPickler(buffer, _PROTOCOL).dump(content)
    size = buffer.tell() - HEADER.size
    buffer.seek(0)
    buffer.write(HEADER.pack(size))
    return buffer.getvalue()
