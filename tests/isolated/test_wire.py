"""An answer of an isolated process is read as data, whatever its origin."""

import io
import os
import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.isolated import wire


@dataclass(frozen=True, slots=True)
class Known:
    text: str
    inner: object = None

    def __post_init__(self) -> None:
        raise AssertionError("an answer called it")


@dataclass
class Other:
    text: str


def task() -> None:
    """Stands for a task, whose module has Known and Other."""


FILL: Final = f"c{wire.value.__module__}\n{wire.value.__qualname__}\n".encode()


class Runs:
    """Unpickled by anyone else, it calls `function`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def known(text: str, inner: object = None) -> Known:
    made = object.__new__(Known)
    object.__setattr__(made, "text", text)
    object.__setattr__(made, "inner", inner)
    return made


def body(answer: bytes) -> bytes:
    (size,) = struct.unpack(">Q", answer[:8])
    assert size == len(answer) - 8
    return answer[8:]


@pytest.mark.parametrize(
    "result",
    [
        None,
        [1, 2.5, "Ñ", b"\0", True],
        {"a": [{"b": None}]},
        frozenset({"x"}),
        (known("a", known("b")), [known("c")]),
    ],
)
def test_an_answer_of_plain_values_and_dataclasses_arrives_as_it_is(result: object) -> None:
    assert wire.answer(body(wire.returned(result)), task) == ("returned", result)


@pytest.mark.parametrize(
    "hostile",
    [
        pickle.dumps(("returned", Runs(os.system, "true"))),
        pickle.dumps(("returned", Runs(Path, "x"))),
        pickle.dumps(("returned", os.system)),
        pickle.dumps(("returned", Runs(eval, "1"))),
        pickle.dumps(("returned", Known)),
        pickle.dumps(7),
        pickle.dumps(()),
        FILL + b"(S'Path'\nS'x'\ntR.",
        FILL + b"(S'Unheard'\nS'x'\ntR.",
        FILL + b"(S'task'\nS'x'\ntR.",
        FILL + b"(S'Known'\nS'x'\ntR.",
        FILL + b"(I7\nS'x'\ntR.",
        FILL + b"}S'_known'\n}sb.",
        FILL + b"(N}S'__call__'\nI7\nstb.",
        b"cproxy.isolated.wire\nhanded\n(I0\ntR.",
        b"cproxy.isolated.wire\nos.system\n(S'true'\ntR.",
        b"P0\n.",
        b"",
        b"\x80\x05",
        b"\x80\x05\x8e" + b"\xff" * 8,
    ],
)
def test_isolation_an_answer_that_names_anything_else_is_refused(hostile: bytes) -> None:
    with pytest.raises(wire.BAD_PICKLE):
        wire.answer(hostile, task)


@given(st.binary(max_size=200))
def test_isolation_an_answer_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    with suppress(*wire.BAD_PICKLE):
        wire.answer(data, task)


def test_an_error_is_told_by_names_and_plain_values_alone() -> None:
    class Odd(ValueError):
        pass

    told = wire.answer(body(wire.raised(Odd("cause", io.BytesIO(), 7))), task)
    assert told[0] == "raised"
    assert [name.rpartition(".")[2] for name in told[1]][:2] == ["Odd", "ValueError"]
    assert told[2] == ["cause", 7]


def test_a_task_that_cannot_be_sent_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with (tmp_path / "file").open("w+b") as file, pytest.raises((AttributeError, pickle.PicklingError)):
        wire.request(task, [file, lambda: None])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
