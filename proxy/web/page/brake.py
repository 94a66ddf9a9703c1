"""Slows failed logins down: after a few, a client has to wait, longer each time."""

from collections import OrderedDict, deque
from math import ceil
from typing import Final

from aiohttp import web

_FREE: Final = 5  # typing errors
_LONGEST_SECONDS: Final = 60.0
_FORGOTTEN_SECONDS: Final = 900.0
_MOST_PEERS: Final = 1024
# For all clients together: a new address for each guess is of no use.
_MOST_FAILURES: Final = 100
_WINDOW_SECONDS: Final = 60.0


class LoginBrake:
    """The failed logins of this process. Times are monotonic seconds; nothing waits here.

    The sixth failure of a client makes it wait 1 s, the next ones 2, 4, … and at most 60 s. All clients
    together have 100 failures a minute.
    """

    def __init__(self) -> None:
        self._peers: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=_MOST_FAILURES)

    def wait(self, peer: str, now: float) -> int:
        """Returns the whole seconds until this client may log in; 0 if it may now."""
        count, at = self._peers.get(peer, (0, now))
        own = at + _pause(count) - now
        full = len(self._recent) == _MOST_FAILURES
        everyone = self._recent[0] + _WINDOW_SECONDS - now if full else 0.0
        return max(0, ceil(max(own, everyone)))

    def failed(self, peer: str, now: float) -> None:
        count, at = self._peers.pop(peer, (0, now))
        self._peers[peer] = (count + 1 if now - at < _FORGOTTEN_SECONDS else 1), now
        if len(self._peers) > _MOST_PEERS:
            self._peers.popitem(last=False)
        self._recent.append(now)

    def succeeded(self, peer: str) -> None:
        self._peers.pop(peer, None)


def _pause(failures: int) -> float:
    return min(2.0 ** (failures - _FREE - 1), _LONGEST_SECONDS) if failures > _FREE else 0.0


BRAKE: Final = web.AppKey("brake", LoginBrake)
