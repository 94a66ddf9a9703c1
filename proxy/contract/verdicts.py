"""How a check can end other than well, and what became of it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["pass", "fail", "not applicable"]


class Mismatch(Exception):
    """The host does otherwise than its row says. Neither text may quote more than our own synthetic data."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = came


class NotApplicable(Exception):
    """A row that can't be judged here; `why` is a sentence without a full stop."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoAnswer(Exception):
    """The host was not reached, or broke off; `reason` is a short word for how."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check. `expected` and `came` are given for a fail, `why` for not applicable."""

    row: str
    route: str
    title: str
    verdict: Verdict
    seconds: float
    expected: str = ""
    came: str = ""
    why: str = ""
