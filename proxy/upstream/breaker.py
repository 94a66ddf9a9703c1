"""A circuit breaker as a frozen value: its states, and the events that change them."""

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

FAILURES: Final = 5
OPEN_SECONDS: Final = 30.0

State: TypeAlias = Literal["closed", "open", "half-open"]
# The state of an upstream as the end of a call shows it.
Verdict: TypeAlias = Literal["works", "fails", "unknown"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker of one upstream.

    A closed breaker lets every call through, and counts the `failures` in a row. An open one lets no call
    through for OPEN_SECONDS. A half-open one has let one call through, its probe. `since` is the time when
    the breaker opened, or when the probe was sent.
    """

    failures: int = 0
    since: float | None = None
    probing: bool = False

    @property
    def state(self) -> State:
        if self.since is None:
            return "closed"
        return "half-open" if self.probing else "open"

    def admitted(self, now: float) -> "Breaker | None":
        """Returns the breaker after one more call was sent; None when no call may be sent.

        A probe without a result after OPEN_SECONDS is followed by the next probe.
        """
        if self.since is None:
            return self
        return replace(self, since=now, probing=True) if now - self.since >= OPEN_SECONDS else None

    def after(self, verdict: Verdict, now: float, *, probe: bool) -> "Breaker":
        """Returns the breaker after a call has ended; `probe` is true when the call was its probe."""
        if verdict == "works":
            return Breaker()
        if self.since is None:
            return self if verdict == "unknown" else _counted(self.failures + 1, now)
        if not probe:
            return self  # the call was sent before the breaker opened
        # After a probe without a result the next call may be a probe.
        return Breaker(self.failures, now if verdict == "fails" else now - OPEN_SECONDS)


def _counted(failures: int, now: float) -> Breaker:
    return Breaker(failures, now if failures >= FAILURES else None)
