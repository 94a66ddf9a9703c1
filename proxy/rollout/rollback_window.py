"""Notices a bad canary: the share of bad outcomes within a window of time, for each scope."""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import floor
from typing import Final

from proxy.mapping.moving import StepBack
from proxy.rollout.evidence.readiness import Reason
from proxy.store.rollout.canary_counts import CanaryCount, CanaryOutcome

MAX_WINDOWS: Final = 4096
# The window moves in this many steps: it is up to one step shorter than its length, and never longer.
_BUCKETS: Final = 60
_WHAT: Final = {"error": "Answers with a status of 500 or more", "difference": "Comparisons with differences"}


class StepBackWatch:
    """Counts by route, scope and kind of outcome; of more than MAX_WINDOWS the longest unused is dropped."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str, CanaryOutcome], _Window] = OrderedDict()
        self._silent: dict[tuple[str, str], int] = {}

    def note(
        self,
        route: str,
        scope: str,
        *,
        bad: bool,
        kind: CanaryOutcome,
        at: float,
        rules: StepBack,
        since: int = 0,
    ) -> Reason | None:
        """Returns the reason to step back, once: then the route is silent for this scope until `reset`.

        `at` is in seconds of a monotonic clock. A window begins anew when its length changes, and with each
        revision `since` which outcomes count.
        """
        if self._silent.get((route, scope)) == since:
            return None
        window = self._window((route, scope, kind), rules.window.total_seconds(), since)
        window.add(at, bad=bad)
        reason = reason_of(window.totals(), kind, rules)
        if reason is not None:
            self.reset(route, scope)
            self._silent[route, scope] = since
        return reason

    def reset(self, route: str, scope: str) -> None:
        """Watches again, from nothing."""
        self._silent.pop((route, scope), None)
        self._windows.pop((route, scope, "error"), None)
        self._windows.pop((route, scope, "difference"), None)

    def _window(self, key: tuple[str, str, CanaryOutcome], seconds: float, since: int) -> "_Window":
        window = self._windows.pop(key, None)
        if window is None or (window.seconds, window.since) != (seconds, since):
            window = _Window(seconds, since)
        self._windows[key] = window
        if len(self._windows) > MAX_WINDOWS:
            self._windows.popitem(last=False)
        return window


@dataclass(slots=True)
class _Window:
    """The last `seconds`, as counts (seen, bad) of equal parts of it."""

    seconds: float
    since: int
    newest: int | None = None
    counts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, at: float, *, bad: bool) -> None:
        number = floor(at / self.seconds * _BUCKETS)
        self.newest = number if self.newest is None else max(number, self.newest)
        seen, so_far = self.counts.get(number, (0, 0))
        self.counts[number] = (seen + 1, so_far + bad)
        oldest = self.newest - _BUCKETS
        self.counts = {each: count for each, count in self.counts.items() if each > oldest}

    def totals(self) -> CanaryCount:
        counts = self.counts.values()
        return CanaryCount(sum(seen for seen, _ in counts), sum(bad for _, bad in counts))


def reason_of(count: CanaryCount, kind: CanaryOutcome, rules: StepBack) -> Reason | None:
    """Returns the reason to step back that the outcomes within the window give."""
    seen, bad = count
    allowed = rules.max_error_percent if kind == "error" else rules.max_difference_percent
    if seen < rules.least or 100 * bad <= allowed * seen:
        return None
    seconds = rules.window.total_seconds()
    said = (
        f"{_WHAT[kind]} in the last {seconds:g} s: {bad:,} of {seen:,}, {100 * bad / seen:.1f} %; "
        f"{allowed:g} % are allowed."
    )
    return Reason(ok=False, sentence=said)
