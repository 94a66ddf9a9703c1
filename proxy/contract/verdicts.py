"""The outcome of a check, and the exceptions for the ways in which it can fail."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["pass", "fail", "not applicable"]


class Mismatch(Exception):
    """The host does not do what its row says. Neither text may quote more than our own synthetic data."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = came


class NotApplicable(Exception):
    """A row that can't be checked here; `why` is a sentence without a full stop."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoAnswer(Exception):
    """The host was not reached, or broke off; `reason` is a short word for that."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one check. A fail has `expected` and `came`; not applicable has `why`."""

    row: str
    route: str
    title: str
    verdict: Verdict
    seconds: float
    expected: str = ""
    came: str = ""
    why: str = ""
