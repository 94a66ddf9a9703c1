"""The gate before one upstream: calls pass while it works, and end at once while it is known not to."""

from collections.abc import Callable
from types import TracebackType
from typing import Final

import structlog

from proxy.errors import UpstreamError
from proxy.upstream import failures
from proxy.upstream.breaker import Breaker, State, Verdict

_log: Final = structlog.get_logger("proxy.upstream")


class Gate:
    """A breaker in use; `kind` is the error of a call that is not let through."""

    def __init__(self, name: str, monotonic: Callable[[], float], kind: str = "upstream_failed") -> None:
        self._name = name
        self._monotonic = monotonic
        self._kind = kind
        self._breaker = Breaker()

    @property
    def state(self) -> State:
        return self._breaker.state

    def passage(self) -> "Passage":
        """Returns what stands around one call, whose end is judged by what leaves the block.

        Entered, it says whether the call is the probe. Raises UpstreamError, and nothing was sent, where the
        breaker is open.
        """
        admitted = self._breaker.admitted(self._monotonic())
        if admitted is None:
            raise UpstreamError(self._kind, f"{self._name}-breaker-open", arrived=False)
        self._become(admitted)
        return Passage(self, probing=admitted.probing)

    def told(self, verdict: Verdict, *, probe: bool) -> None:
        """Takes what a call that has ended says of its upstream."""
        self._become(self._breaker.told(verdict, self._monotonic(), probe=probe))

    def _become(self, breaker: Breaker) -> None:
        if breaker.state != self._breaker.state:
            _log.warning("breaker", upstream=self._name, state=breaker.state)
        self._breaker = breaker


class Passage:
    """One call on its way through the gate."""

    __slots__ = ("_gate", "_probing")

    def __init__(self, gate: Gate, *, probing: bool) -> None:
        self._gate = gate
        self._probing = probing

    def __enter__(self) -> bool:
        return self._probing

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        verdict: Verdict = "unknown"  # of a call that was cancelled, or failed by our own fault
        if error is None:
            verdict = "works"
        elif isinstance(error, UpstreamError):
            verdict = failures.verdict(error)
        self._gate.told(verdict, probe=self._probing)
