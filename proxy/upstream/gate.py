"""The gate before one upstream: calls pass while it works, and end at once while it is known not to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    @contextmanager
    def passage(self) -> Iterator[bool]:
        """Around one call, whose end is judged by what leaves the block; gives whether it is the probe.

        Raises UpstreamError, and nothing was sent, where the breaker is open.
        """
        admitted = self._breaker.admitted(self._monotonic())
        if admitted is None:
            raise UpstreamError(self._kind, f"{self._name}-breaker-open", arrived=False)
        self._become(admitted)
        verdict: Verdict = "unknown"  # of a call that was cancelled, or failed by our own fault
        try:
            yield admitted.probing
            verdict = "works"
        except UpstreamError as error:
            verdict = failures.verdict(error)
            raise
        finally:
            self._become(self._breaker.told(verdict, self._monotonic(), probe=admitted.probing))

    def _become(self, breaker: Breaker) -> None:
        if breaker.state != self._breaker.state:
            _log.warning("breaker", upstream=self._name, state=breaker.state)
        self._breaker = breaker
