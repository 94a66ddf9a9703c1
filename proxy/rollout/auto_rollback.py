"""Rolls a failing canary back to legacy automatically, with an audit row; never forward (issue 4)."""

from collections.abc import Callable
from typing import Final

import structlog

from proxy.flows.deps import Deps
from proxy.modes import EVERYONE
from proxy.rollout.decide import Decision
from proxy.rollout.evidence.readiness import Reason
from proxy.rollout.live import Live
from proxy.rollout.rollback_window import Outcome, StepBackWatch
from proxy.rollout.shadow.outcome import DIFFERENCE
from proxy.rollout.shadow.queue import Compared
from proxy.store.rollout.overrides import Change, StaleRevision

_ACTOR: Final = "proxy"
_SERVER_ERROR: Final = 500

_log: Final = structlog.get_logger("proxy.step_back")


class AutoRollback:
    """The automatic rollback: watches the answers of canaries and the comparisons of their routes."""

    def __init__(self, live: Live, deps: Deps, watch: StepBackWatch, look: Callable[[], None]) -> None:
        self._live = live
        self._deps = deps
        self._watch = watch
        self._look = look

    def answered(self, route: str, decision: Decision, status: int) -> None:
        """Counts an answer of the new side that the canary's percentage or lists chose."""
        if (decision.in_force.mode, decision.side, decision.why) == ("canary", "new", "mode"):
            self._note(route, decision.in_force.scope, "error", bad=status >= _SERVER_ERROR)

    def compared(self, compared: Compared) -> None:
        if compared.outcome.is_comparison:
            self._note(compared.job.route, EVERYONE, "difference", bad=compared.outcome == DIFFERENCE)

    def _note(self, route: str, scope: str, kind: Outcome, *, bad: bool) -> None:
        rules = self._live.now.table.routes[route].mapping.step_back
        reason = self._watch.note(
            route, scope, bad=bad, kind=kind, at=self._deps.effects.monotonic(), rules=rules
        )
        if reason is not None:
            self._deps.tasks.start("step-back", self._step_back(route, scope, reason))

    async def _step_back(self, route: str, scope: str, reason: Reason) -> None:
        """Sets the route to legacy, if it is still a canary at the revision that this process serves."""
        now, snapshot = self._deps.effects.clock(), self._live.now
        in_force = snapshot.in_force(route, None if scope == EVERYONE else scope, now)
        if in_force.mode != "canary" or in_force.scope != scope:
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
            _log.warning("step_back_overtaken", route=route)  # an operator has just changed it
        else:
            _log.error("stepped_back", route=route, revision=made.revision)
        self._look()
        self._watch.reset(route, scope)
