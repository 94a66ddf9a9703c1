"""A row of the soak's table."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Row:
    """A goal, the figure that came out, and whether it is met."""

    part: str
    goal: str
    figure: str
    met: bool


# `scale` 1 is the full size; `make test` runs the same code with less.
Part: TypeAlias = Callable[[float], Coroutine[Any, Any, list[Row]]]
