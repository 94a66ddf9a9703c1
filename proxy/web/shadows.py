"""Makes a request that the legacy server has answered into a job: its candidate, run later and compared."""

from collections.abc import Callable
from typing import Any

from proxy.compare import Rules
from proxy.dispatch.description import LateDescriptions
from proxy.dispatch.outcome import dropped
from proxy.dispatch.shadow import Compared, Job, Shadow
from proxy.flows.deps import Deps
from proxy.mapping.table import FlowSpec, Route
from proxy.values import Answer
from proxy.web.candidate import Candidate
from proxy.web.kept import Kept
from proxy.web.known import Known


class Shadows:
    """Offers jobs to the queue. `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        shadow: Shadow,
        deps: Deps,
        descriptions: LateDescriptions,
        told: Callable[[Compared], None],
        chance: Callable[[], float],
    ) -> None:
        self._shadow = shadow
        self._deps = deps
        self._descriptions = descriptions
        self._told = told
        self._chance = chance

    def offer(
        self, spec: FlowSpec, route: Route[Any], known: Known, kept: Kept, control: Answer | None
    ) -> None:
        """Takes over what was kept of the request. `control` None is an answer too large to be kept, or in
        a coding that nobody here reads."""
        candidate = Candidate(
            spec, route, kept, known, control or Answer(0, b"", ""), self._deps, self._descriptions
        )
        job = _job(candidate)
        reason = self._why_not(spec, route, known, kept, control)
        if reason is None:
            self._shadow.offer(job)
        else:
            job.close()
            self._told(Compared(job, dropped(reason)))

    def _why_not(
        self, spec: FlowSpec, route: Route[Any], known: Known, kept: Kept, control: Answer | None
    ) -> str | None:
        if kept.method == "HEAD":
            return "head"
        if control is None:
            return "answer-too-large"
        if not kept.whole:
            return "not-kept"
        if known.session is None and not spec.makes_case:
            return "unknown-token"
        if self._chance() * 100 >= route.mapping.shadow.sample_percent:
            return "not-sampled"
        return None


def _job(candidate: Candidate) -> Job:
    mapping, kept = candidate.route.mapping, candidate.kept
    rules = mapping.compare
    return Job(
        route=candidate.spec.name,
        organization=candidate.known.asked.scope or "",
        request_id=kept.request_id,
        rules=Rules(tuple(rules.ignore), tuple(rules.volatile), dict(rules.tolerance)),
        seconds=mapping.shadow.timeout.total_seconds(),
        size=kept.body.size,
        run=candidate.run,
        close=kept.body.close,
    )
