"""Samples requests for shadow mode: each becomes a job that runs the new side later and compares."""

from collections.abc import Callable
from typing import Any, Final

from proxy.compare import CompareRules
from proxy.flows.deps import Deps
from proxy.mapping.table import FlowSpec, Route
from proxy.rollout.lookup import RequestContext
from proxy.rollout.shadow.candidate import Candidate
from proxy.rollout.shadow.capture import CapturedRequest
from proxy.rollout.shadow.openapi.description import LateDescriptions
from proxy.rollout.shadow.outcome import CONTROL_FAILED, REFUSED_CALLER, dropped, is_own_failure
from proxy.rollout.shadow.queue import Compared, Job, ShadowQueue
from proxy.upstream.trace_context import apart
from proxy.values import Answer

_REFUSED: Final = 400
_NOT_KNOWN: Final = frozenset({401, 403})


class ShadowSampler:
    """A sampler that offers jobs to the queue; `chance` returns numbers from 0 to 1."""

    def __init__(
        self,
        shadow: ShadowQueue,
        deps: Deps,
        descriptions: LateDescriptions,
        report: Callable[[Compared], None],
        chance: Callable[[], float],
    ) -> None:
        self._shadow = shadow
        self._deps = deps
        self._descriptions = descriptions
        self._report = report
        self._chance = chance

    def offer(
        self,
        spec: FlowSpec,
        route: Route[Any],
        context: RequestContext,
        captured: CapturedRequest,
        control: Answer | None,
    ) -> None:
        """Offers a captured request, and closes it if it is dropped.

        `control` None is an answer that is too large, or in an unreadable coding.
        """
        answer = control or Answer(0, b"", "")
        trace = apart(captured.trace, self._deps.tracing.new_id)
        candidate = Candidate(spec, route, captured, context, answer, self._deps, self._descriptions, trace)
        job = _job(candidate)
        reason = self._why_not(spec, route, context, captured, control)
        if reason is None:
            self._shadow.offer(job)
        else:
            job.close()
            self._report(Compared(job, dropped(reason)))

    def _why_not(
        self,
        spec: FlowSpec,
        route: Route[Any],
        context: RequestContext,
        captured: CapturedRequest,
        control: Answer | None,
    ) -> str | None:
        if captured.method == "HEAD":
            return "head"
        if control is None:
            return "answer-too-large"
        if is_own_failure(control.status):
            return CONTROL_FAILED
        is_dry = route.mapping.shadow_writes == "dry-run"
        if spec.makes_case and is_dry and control.status in _NOT_KNOWN:
            return REFUSED_CALLER
        if not captured.whole:
            return "not-kept"
        if context.session is None and not spec.makes_case:
            return "unknown-token"
        if self._chance() * 100 >= route.mapping.shadow.sample_percent:
            return "not-sampled"
        return None


def _job(candidate: Candidate) -> Job:
    mapping, captured = candidate.route.mapping, candidate.captured
    rules = mapping.compare
    return Job(
        route=candidate.spec.name,
        mapping=candidate.route.digest,
        organization=_confirmed(candidate),
        request_id=captured.request_id,
        rules=CompareRules(tuple(rules.ignore), tuple(rules.volatile), dict(rules.tolerance)),
        seconds=mapping.shadow.timeout.total_seconds(),
        size=captured.body.size,
        run=candidate.run,
        close=captured.body.close,
        trace=candidate.trace,
        caused_by=captured.trace,
    )


def _confirmed(candidate: Candidate) -> str:
    """Returns the keyed hash of the caller's organization; "" where the legacy server refused the caller.

    Anyone can send any name and be refused: each name would be rows of evidence for ever.
    """
    refused = candidate.control.status >= _REFUSED
    return "" if refused else candidate.context.asked.scope or ""
