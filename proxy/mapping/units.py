"""Reads sizes and durations as an operator writes them: "10 MB", "30 s"."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

_SIZES: Final = {
    "B": 1,
    "KB": 1000,
    "KIB": 1024,
    "MB": 1000**2,
    "MIB": 1024**2,
    "GB": 1000**3,
    "GIB": 1024**3,
}
_TIMES: Final = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_AMOUNT: Final = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z]+)\s*", re.ASCII)
LONGEST_PAUSE: Final = timedelta(seconds=60)
_LONGEST: Final = timedelta(days=3650)  # a date of this century plus this is still a valid date


def parse_size(value: object) -> int:
    """Returns the bytes of "10 MB" (decimal) or "10 MiB" (binary); ValueError says how to write a size."""
    number, unit = _amount(value)
    size = int(number * _SIZES.get(unit.upper(), 0))
    if not size:
        raise ValueError(f'write a size such as "10 MB", in quotes (units: {", ".join(_SIZES)})')
    return size


def parse_duration(value: object) -> timedelta:
    """Returns the time of "500 ms", "30 s", "5 min", "12 h", "90 d"; ValueError says how to write one."""
    number, unit = _amount(value)
    time = timedelta(seconds=number * _TIMES.get(unit, 0))
    if not time or time > _LONGEST:
        raise ValueError(
            f'write a duration such as "30 s", in quotes, of at most {_LONGEST.days} d '
            f"(units: {', '.join(_TIMES)})"
        )
    return time


def _parse_window(value: object) -> timedelta:
    number, unit = _amount(value)
    return timedelta(0) if number == 0 and unit in _TIMES else parse_duration(value)


def _parse_pause(value: object) -> timedelta:
    pause = parse_duration(value)
    if pause > LONGEST_PAUSE:
        raise ValueError(
            f'write at most "{LONGEST_PAUSE.seconds} s": a silent connection ends soon after that'
        )
    return pause


def _amount(value: object) -> tuple[float, str]:
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    return (float(match[1]), match[2]) if match else (0, "")


_SCHEMA: Final = {"type": "string", "pattern": r"^\s*\d{1,9}(\.\d{1,9})?\s*[A-Za-z]+\s*$"}

Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({**_SCHEMA, "examples": ["10 MB"]})]
Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), WithJsonSchema({**_SCHEMA, "examples": ["30 s"]})
]
Window = Annotated[
    timedelta, BeforeValidator(_parse_window), WithJsonSchema({**_SCHEMA, "examples": ["15 min", "0 s"]})
]
Pause = Annotated[timedelta, BeforeValidator(_parse_pause), WithJsonSchema({**_SCHEMA, "examples": ["60 s"]})]
