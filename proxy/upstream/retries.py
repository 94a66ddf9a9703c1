"""How many calls may be made a second time: never so many that they are a load of their own."""

from typing import Final

# With the first one, a fifth of the calls at the most as soon as there were ten.
_SHARE: Final = 0.1
_MOST: Final = 10.0


class Retries:
    """Every call earns a share of a retry; what is saved up for bad times is limited."""

    def __init__(self) -> None:
        self._credit = 1.0

    def earn(self) -> None:
        self._credit = min(_MOST, self._credit + _SHARE)

    def spend(self) -> bool:
        """Whether one more is allowed, which is then used up."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
