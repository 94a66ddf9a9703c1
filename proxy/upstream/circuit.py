"""Applies the circuit breaker of one upstream: while it is open, calls fail at once."""

from collections.abc import Callable
from types import TracebackType
from typing import Final

import structlog

from proxy.errors import UpstreamError
from proxy.upstream import failures
from proxy.upstream.breaker import Breaker, State, Verdict

_log: Final = structlog.get_logger("proxy.upstream")


class Gate:
    """A circuit breaker in use; `kind` is the error's kind of a call that is not let through."""

    def __init__(self, name: str, monotonic: Callable[[], float], kind: str = "upstream_failed") -> None:
        self._name = name
        self._monotonic = monotonic
        self._kind = kind
        self._breaker = Breaker()

    @property
    def state(self) -> State:
        return self._breaker.state

    def passage(self) -> "Pass":
        """Returns the context manager of one call; the error that leaves its block decides the verdict.

        Its `with` gives whether the call is the probe. Raises UpstreamError when the breaker is open: nothing
        was sent.
        """
        admitted = self._breaker.admitted(self._monotonic())
        if admitted is None:
            raise UpstreamError(self._kind, f"{self._name}-breaker-open", arrived=False)
        self._become(admitted)
        return Pass(self, probing=admitted.probing)

    def report(self, verdict: Verdict, *, probe: bool) -> None:
        """Updates the breaker with the verdict of a call that has ended."""
        self._become(self._breaker.after(verdict, self._monotonic(), probe=probe))

    def _become(self, breaker: Breaker) -> None:
        if breaker.state != self._breaker.state:
            _log.warning("breaker", upstream=self._name, state=breaker.state)
        self._breaker = breaker


class Pass:
    """A context manager around one call, which reports its verdict to the gate."""

    __slots__ = ("_gate", "_probing")

    def __init__(self, gate: Gate, *, probing: bool) -> None:
        self._gate = gate
        self._probing = probing

    def __enter__(self) -> bool:
        return self._probing

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        verdict: Verdict = "unknown"  # the call was cancelled, or failed by our own fault
        if error is None:
            verdict = "works"
        elif isinstance(error, UpstreamError):
            verdict = failures.verdict(error)
        self._gate.report(verdict, probe=self._probing)
