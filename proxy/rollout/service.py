"""Opens a process's parts for moving routes: following, shadow mode, learning and recording."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from proxy import modes
from proxy.flows.deps import Deps
from proxy.mapping.table import Table
from proxy.rollout.auto_rollback import AutoRollback
from proxy.rollout.config_watcher import ConfigWatcher, following
from proxy.rollout.evidence.answer_sampler import AnswerSampler
from proxy.rollout.live import Live, mappings_digest
from proxy.rollout.lookup import CallerLookup
from proxy.rollout.recorder import Recorder, recording
from proxy.rollout.rollback_window import StepBackWatch
from proxy.rollout.shadow.openapi.description import LateDescriptions
from proxy.rollout.shadow.outcome import DIFFERENCE
from proxy.rollout.shadow.queue import Compared, ShadowQueue, shadowing
from proxy.rollout.shadow.sampler import ShadowSampler
from proxy.rollout.shadow.trace import shadow_span, shadow_story
from proxy.rollout.snapshot import Snapshot
from proxy.store.rollout.evidence import Outcome


@dataclass(frozen=True, slots=True)
class Moving:
    """The parts for moving routes, made by `moving_over`."""

    live: Live
    follower: ConfigWatcher
    lookup: CallerLookup
    learner: AnswerSampler
    shadow: ShadowQueue
    shadows: ShadowSampler
    recorder: Recorder
    step_backs: AutoRollback


@asynccontextmanager
async def moving_over(
    table: Table, folder: Path | None, deps: Deps, tester_secret: str | None
) -> AsyncIterator[Moving]:
    """Runs the parts; `folder` is the source of the table, to be watched; None watches nothing."""
    live = Live(Snapshot(table, modes.NONE), mappings_digest(folder) if folder else "")
    follower = ConfigWatcher(live, deps, folder)
    recorder = Recorder(deps.store, deps.effects.clock)
    step_backs = AutoRollback(live, deps, StepBackWatch(), recorder.counted, follower.look)
    recorder.when_counted(step_backs.check)
    report = _reporter(recorder, step_backs, deps)
    shadow = ShadowQueue(partial(deps.store.sealer.digest, "shadow"), report)
    async with AsyncExitStack() as stack:
        for running in (recording(recorder), following(follower), shadowing(shadow)):
            await stack.enter_async_context(running)
        yield Moving(
            live=live,
            follower=follower,
            lookup=CallerLookup(deps, tester_secret),
            learner=AnswerSampler(
                live, recorder, deps.effects.monotonic, on=deps.upstreams.michiq is not None
            ),
            shadow=shadow,
            shadows=ShadowSampler(shadow, deps, LateDescriptions(), report, random.SystemRandom().random),
            recorder=recorder,
            step_backs=step_backs,
        )


def _reporter(recorder: Recorder, step_backs: AutoRollback, deps: Deps) -> Callable[[Compared], None]:
    def report(compared: Compared) -> None:
        job, text = compared.job, compared.outcome.text
        at = deps.effects.clock()
        recorder.compared(
            Outcome(job.route, job.organization, text, compared.differences, mapping=job.mapping)
        )
        if compared.outcome.is_comparison:
            recorder.compared_at(job.route, at, differing=compared.outcome == DIFFERENCE)
        recorder.traced(shadow_story(compared, at))
        step_backs.compared(compared)
        deps.metrics.compared(job.route, text)
        if (span := shadow_span(compared, deps.effects.clock())) is not None:
            deps.tracing.export(span)

    return report
