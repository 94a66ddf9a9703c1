"""When an upstream that fails is left alone: the states of a breaker, and what turns one into the next."""

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

FAILURES: Final = 5
OPEN_SECONDS: Final = 30.0

State: TypeAlias = Literal["closed", "open", "half-open"]
# What a call that has ended says of its upstream.
Verdict: TypeAlias = Literal["works", "fails", "unknown"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed, it lets every call through, and counts the `failures` in a row.

    Open, it lets none through for a while; half-open, one: its probe. `since` is when it opened, or when
    the probe went out.
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
        """What it is once a call has gone out; None where none may.

        A probe that says nothing for as long as the breaker stays open is followed by the next one.
        """
        if self.since is None:
            return self
        return replace(self, since=now, probing=True) if now - self.since >= OPEN_SECONDS else None

    def told(self, verdict: Verdict, now: float, *, probe: bool) -> "Breaker":
        """What it is after a call has ended; `probe` says that the call was one."""
        if verdict == "works":
            return Breaker()
        if self.since is None:
            return self if verdict == "unknown" else _counted(self.failures + 1, now)
        if not probe:
            return self  # of a call that went out before it opened
        # After a probe from which nothing was learnt the next call may be one.
        return Breaker(self.failures, now if verdict == "fails" else now - OPEN_SECONDS)


def _counted(failures: int, now: float) -> Breaker:
    return Breaker(failures, now if failures >= FAILURES else None)
