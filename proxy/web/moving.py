"""Opens a process's parts for moving routes: following, shadow mode, learning and recording."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from proxy import overrides
from proxy.dispatch.description import LateDescriptions
from proxy.dispatch.shadow import Compared, Shadow, shadowing
from proxy.dispatch.snapshot import Snapshot
from proxy.dispatch.step_back import StepBackWatch
from proxy.flows.deps import Deps
from proxy.mapping.table import Table
from proxy.store.evidence import Outcome
from proxy.web.back import StepBacks
from proxy.web.follow import Follower, following
from proxy.web.known import CallerLookup
from proxy.web.learning import Learner
from proxy.web.live import Live, mappings_digest
from proxy.web.recorder import Recorder, recording
from proxy.web.shadows import Shadows
from proxy.web.story import shadow_story


@dataclass(frozen=True, slots=True)
class Moving:
    """The parts for moving routes, made by `moving_over`."""

    live: Live
    follower: Follower
    lookup: CallerLookup
    learner: Learner
    shadow: Shadow
    shadows: Shadows
    recorder: Recorder
    step_backs: StepBacks


@asynccontextmanager
async def moving_over(
    table: Table, folder: Path | None, deps: Deps, tester_secret: str | None
) -> AsyncIterator[Moving]:
    """Runs the parts; `folder` is the source of the table, to be watched; None watches nothing."""
    live = Live(Snapshot(table, overrides.NONE), mappings_digest(folder) if folder else "")
    follower = Follower(live, deps, folder)
    recorder = Recorder(deps.store, deps.clock)
    step_backs = StepBacks(live, deps, StepBackWatch(), follower.look)
    report = _reporter(recorder, step_backs, deps)
    shadow = Shadow(partial(deps.store.sealer.digest, "shadow"), report)
    async with AsyncExitStack() as stack:
        for running in (recording(recorder), following(follower), shadowing(shadow)):
            await stack.enter_async_context(running)
        yield Moving(
            live=live,
            follower=follower,
            lookup=CallerLookup(deps, tester_secret),
            learner=Learner(live, recorder, deps.monotonic, on=deps.michiq is not None),
            shadow=shadow,
            shadows=Shadows(shadow, deps, LateDescriptions(), report, random.SystemRandom().random),
            recorder=recorder,
            step_backs=step_backs,
        )


def _reporter(recorder: Recorder, step_backs: StepBacks, deps: Deps) -> Callable[[Compared], None]:
    def report(compared: Compared) -> None:
        job, text = compared.job, compared.outcome.text
        recorder.compared(Outcome(job.route, job.organization, text, compared.differences))
        recorder.traced(shadow_story(compared, deps.clock()))
        step_backs.compared(compared)
        deps.metrics.compared(job.route, text)

    return report
