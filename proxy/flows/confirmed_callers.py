"""Callers whom users/me has just confirmed: for them it is asked beside POST /api/cases (CONTRACT N19)."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from proxy.errors import UpstreamError

_MOST: Final = 10_000  # whoever called least recently goes, and is asked for in order


@dataclass(frozen=True, slots=True)
class ConfirmedCaller:
    """`entry` is a call of theirs in the journal: it goes with all that is erased of them, by whichever
    process. `at` is when users/me was asked, in seconds of the monotonic clock."""

    owner: str
    entry: str
    at: float


class ConfirmedCallers:
    """Whom users/me has confirmed to this process, by their fingerprints (`caller.Caller`)."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._callers: OrderedDict[str, ConfirmedCaller] = OrderedDict()
        self._of: dict[str, set[str]] = {}

    def remember(self, fingerprint: str, caller: ConfirmedCaller) -> None:
        self._callers[fingerprint] = caller
        self._callers.move_to_end(fingerprint)
        self._of.setdefault(caller.owner, set()).add(fingerprint)
        if len(self._callers) > self._most:
            self._drop(next(iter(self._callers)))

    def within(self, window: timedelta, fingerprint: str, now: float) -> ConfirmedCaller | None:
        """Returns the caller if users/me confirmed them less than `window` ago."""
        caller = self._callers.get(fingerprint)
        if caller is None or now - caller.at >= window.total_seconds():
            return None
        return caller

    def forget(self, owner: str) -> None:
        """Forgets a user of an organization, whatever keys and spellings they came with."""
        for fingerprint in tuple(self._of.get(owner, ())):
            self._drop(fingerprint)

    def forget_all(self) -> None:
        self._callers.clear()
        self._of.clear()

    def _drop(self, fingerprint: str) -> None:
        owner = self._callers.pop(fingerprint).owner
        self._of[owner].discard(fingerprint)
        if not self._of[owner]:
            del self._of[owner]


def is_refusal(error: UpstreamError) -> bool:
    """Whether the platform refuses who calls, or what they ask for, rather than failing."""
    return error.status is not None and 400 <= error.status < 500
