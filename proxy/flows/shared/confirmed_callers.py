"""Remembers the callers whom users/me has just confirmed: both calls are made at once for them (N19)."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from proxy.errors import UpstreamError

_MOST: Final = 10_000  # beyond it, the least recent caller is forgotten, and users/me goes first for them


@dataclass(frozen=True, slots=True)
class ConfirmedCaller:
    """A caller whom users/me has confirmed.

    `entry` is the caller's entry in the journal: any process that erases their data removes it, too. `at` is
    the time of the call to users/me, in seconds of the monotonic clock.
    """

    owner: str
    entry: str
    at: float


class ConfirmedCallers:
    """The callers that users/me has confirmed to this process, by `NewCaseCaller.fingerprint`."""

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
        """Returns the caller if users/me has confirmed them less than `window` ago."""
        caller = self._callers.get(fingerprint)
        if caller is None or now - caller.at >= window.total_seconds():
            return None
        return caller

    def forget(self, owner: str) -> None:
        """Forgets a user of an organization, under all keys and spellings that they used."""
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
    """Returns whether the platform refused the caller or the request (4xx), rather than failed."""
    return error.status is not None and 400 <= error.status < 500
