"""Rolls a failing canary back to legacy automatically, with an audit row; never forward (issue 4).

Each process watches its own outcomes, which it sees at once, and those of all processes each second. It steps
back when one of the two passes the bound.
"""

from collections.abc import Callable, Collection
from typing import Final, Protocol

import structlog

from proxy.flows.deps import Deps
from proxy.modes import EVERYONE
from proxy.rollout.decide import Decision
from proxy.rollout.evidence.readiness import Reason
from proxy.rollout.live import Live
from proxy.rollout.rollback_window import StepBackWatch, reason_of
from proxy.rollout.shadow.outcome import DIFFERENCE
from proxy.rollout.shadow.queue import Compared
from proxy.rollout.snapshot import Snapshot
from proxy.store import StoreError
from proxy.store.rollout.canary_counts import CanaryOutcome, CanaryWindow
from proxy.store.rollout.overrides import Change, StaleRevision

_ACTOR: Final = "proxy"
_SERVER_ERROR: Final = 500

_log: Final = structlog.get_logger("proxy.step_back")


class CountOutcome(Protocol):
    """Counts one outcome for all processes (`Recorder.counted`)."""

    def __call__(self, window: CanaryWindow, *, bad: bool) -> None: ...


class AutoRollback:
    """The automatic rollback: watches the answers of canaries and the comparisons of their routes."""

    def __init__(
        self, live: Live, deps: Deps, watch: StepBackWatch, count: CountOutcome, look: Callable[[], None]
    ) -> None:
        self._live = live
        self._deps = deps
        self._watch = watch
        self._count = count
        self._look = look

    def answered(self, route: str, decision: Decision, status: int) -> None:
        """Counts an answer of the new side that the canary's percentage or lists chose."""
        if (decision.in_force.mode, decision.side, decision.why) == ("canary", "new", "mode"):
            self._note(route, decision.in_force.scope, "error", bad=status >= _SERVER_ERROR)

    def compared(self, compared: Compared) -> None:
        if compared.outcome.is_comparison:
            self._note(compared.job.route, EVERYONE, "difference", bad=compared.outcome == DIFFERENCE)

    async def check(self, windows: Collection[CanaryWindow]) -> None:
        """Steps back where the outcomes of all processes pass the bound."""
        for window in windows:
            try:
                count = await self._deps.store.evidence.canary(window, self._deps.effects.clock())
                rules = self._live.now.table.routes[window.route].mapping.step_back
                if reason := reason_of(count, window.kind, rules):
                    await self._step_back(window, reason)
            except StoreError:
                _log.exception("step_back_not_checked", route=window.route)  # the next second checks again

    def _note(self, route: str, scope: str, kind: CanaryOutcome, *, bad: bool) -> None:
        snapshot = self._live.now
        if not self._is_canary(snapshot, route, scope):
            return
        rules = snapshot.table.routes[route].mapping.step_back
        since = snapshot.overrides.newest_change(route, scope)
        window = CanaryWindow(route, scope, kind, since, rules.window)
        self._count(window, bad=bad)
        at = self._deps.effects.monotonic()
        reason = self._watch.note(route, scope, bad=bad, kind=kind, at=at, rules=rules, since=since)
        if reason is not None:
            self._deps.tasks.start("step-back", self._step_back(window, reason))

    async def _step_back(self, window: CanaryWindow, reason: Reason) -> None:
        """Sets the route to legacy, if the canary is still the one whose outcomes were counted."""
        now, snapshot = self._deps.effects.clock(), self._live.now
        route, scope = window.route, window.scope
        is_same = snapshot.overrides.newest_change(route, scope) == window.since
        if not is_same or not self._is_canary(snapshot, route, scope):
            return
        override = snapshot.overrides.in_force(route, scope, now)
        change = Change(
            actor=_ACTOR,
            route=route,
            organization=override.organization if override else None,
            mode="legacy",
            percent=None,
            until=None,
            reason=reason.sentence,
        )
        try:
            made = await self._deps.store.overrides.change(
                change, expected=snapshot.overrides.revision, at=now
            )
        except StaleRevision:
            _log.warning("step_back_overtaken", route=route)  # an operator, or another process, was first
        else:
            self._deps.metrics.stepped_back(route)
            _log.error("stepped_back", route=route, revision=made.revision)
        self._look()
        self._watch.reset(route, scope)

    def _is_canary(self, snapshot: Snapshot, route: str, scope: str) -> bool:
        """Returns whether the route is a canary for this scope by the scope's own setting."""
        now = self._deps.effects.clock()
        in_force = snapshot.in_force(route, None if scope == EVERYONE else scope, now)
        return (in_force.mode, in_force.scope) == ("canary", scope)
