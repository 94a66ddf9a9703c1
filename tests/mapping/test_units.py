"""Sizes and durations as an operator writes them."""

from datetime import timedelta
from typing import Final

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.mapping.units import Window, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1 B", 1),
        ("10 MB", 10_000_000),
        ("10MB", 10_000_000),
        ("10 mb", 10_000_000),
        (" 1.5 MB ", 1_500_000),
        ("1 KiB", 1024),
        ("64 KB", 64_000),
        ("2 MiB", 2 * 1024**2),
        ("1 GB", 10**9),
        ("1 GiB", 1024**3),
    ],
)
def test_a_size_is_read_as_it_is_commonly_written(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500 ms", 0.5), ("30 s", 30), ("30s", 30), ("5 min", 300), ("1.5 h", 5400), ("90 d", 90 * 86400)],
)
def test_a_duration_is_read_as_it_is_commonly_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


NO_AMOUNT: Final[list[object]] = [
    10,
    1.5,
    True,
    None,
    [],
    "",
    "10",
    "MB",
    "s",
    "-1 s",
    "-1 MB",
    "1 e3 s",
    "1,5 s",
    "1,5 MB",
    "١ s",
    "١ MB",
]


@pytest.mark.parametrize(
    "value", [*NO_AMOUNT, "10 M", "10 MBit", "10 s", "0 MB", "0.1 B", "9" * 400 + " B", "1 MB\n1 MB"]
)
def test_what_is_no_size_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match=r'write a size such as "10 MB", in quotes \(units: B, KB, KIB, MB'):
        parse_size(value)


@pytest.mark.parametrize(
    "value", [*NO_AMOUNT, "5 m", "5 S", "5 MB", "0 s", "3651 d", "999999999 d", "9" * 400 + " s", "1 s 1 s"]
)
def test_what_is_no_duration_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match=r'write a duration such as "30 s", in quotes, of at most 3650 d'):
        parse_duration(value)


@pytest.mark.parametrize(("text", "seconds"), [("15 min", 900), ("0 s", 0), ("0.0 h", 0)])
def test_a_window_N19_may_be_none_at_all(text: str, seconds: float) -> None:
    assert TypeAdapter(Window).validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["0", "0 MB", "-1 s", "3651 d"])
def test_what_is_no_window_N19_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match='write a duration such as "30 s"'):
        TypeAdapter(Window).validate_python(text)
