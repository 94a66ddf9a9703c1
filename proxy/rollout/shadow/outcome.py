"""A value for how one shadow run ended, and the text that the store, the metrics and `explain` have of it."""

from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias, get_args

How: TypeAlias = Literal["match", "difference", "dropped", "dry-run-failed"]

# The reason of a run that was left out because the legacy server itself failed.
CONTROL_FAILED: Final = "control-failed"
# A dry run asks no platform whether it knows a caller, so it would take one whom the legacy server refuses.
REFUSED_CALLER: Final = "refused-caller"

_SERVER_ERROR: Final = 500
# Of a busy or slow server, too: they tell of its load at that moment, not of the request (RFC 9110, section
# 15.5.9; RFC 6585, section 4), so the new side could never answer the same for the same reason.
_OF_THE_MOMENT: Final = frozenset({408, 429})
_BY_TEXT: Final[dict[str, How]] = {how: how for how in get_args(How)}


@dataclass(frozen=True, slots=True)
class ShadowOutcome:
    """The end of one shadow run. `why` is a short code, "" where both answers were compared."""

    how: How
    why: str = ""

    @property
    def is_comparison(self) -> bool:
        """Says that both answers were there and were compared."""
        return self.how in ("match", "difference")

    @property
    def text(self) -> str:
        """Returns the stored form: match, difference, dropped:REASON or dry-run-failed:CODE."""
        return f"{self.how}:{self.why}" if self.why else self.how

    @classmethod
    def of_text(cls, text: str) -> Self | None:
        """Returns what `text` was made of; None for what no known version of the proxy has written."""
        first, _, why = text.partition(":")
        how = _BY_TEXT.get(first)
        return None if how is None else cls(how, why)


MATCH: Final = ShadowOutcome("match")
DIFFERENCE: Final = ShadowOutcome("difference")


def is_own_failure(status: int) -> bool:
    """Returns whether the legacy server itself failed, so that its answer is no measure of the new side."""
    return status >= _SERVER_ERROR or status in _OF_THE_MOMENT


def dropped(reason: str) -> ShadowOutcome:
    """Returns the end of a run that could not be compared."""
    return ShadowOutcome("dropped", reason)


def dry_run_failed(code: str) -> ShadowOutcome:
    """Returns the end of a run whose calls break the new system's description."""
    return ShadowOutcome("dry-run-failed", code)
