"""A retry budget: limits how many calls are repeated, so that retries never overload an upstream."""

from typing import Final

# Together with the initial credit, at most a fifth of the calls is repeated once there were ten.
_SHARE: Final = 0.1
_MOST: Final = 10.0


class Retries:
    """A retry budget: every call earns a share of a retry, and the saved credit is limited."""

    def __init__(self) -> None:
        self._credit = 1.0

    def earn(self) -> None:
        self._credit = min(_MOST, self._credit + _SHARE)

    def spend(self) -> bool:
        """Returns whether one more retry is allowed, and if so spends its credit."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
