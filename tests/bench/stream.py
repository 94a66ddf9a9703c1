"""The processor that the stream of events takes, for each event and client."""

import time
from typing import Final

from tests.bench import machine
from tests.bench.processes import Kind, Peer
from tests.bench.stage import STARTED_SECONDS, Stage
from tests.bench.values import Sample, Void
from tests.bench.watchers import watching

_MANY: Final = 32  # as many streams as a process has
_SECONDS: Final = 20.0


def of_each_event(stage: Stage, kind: Kind) -> Sample:
    """Returns the microseconds of an event and client: of the proxy with many clients, less one with none."""
    with stage.fresh(kind) as peer:
        stage.settle(STARTED_SECONDS)
        alone, _ = _taken(stage, peer, 0)
        watched, events = _taken(stage, peer, _MANY)
    if not events:
        raise Void("no event came")
    return {"event": max(0.0, watched - alone) * 1e6 / events}


def _taken(stage: Stage, peer: Peer, count: int) -> tuple[float, int]:
    """Returns the seconds of processor of a while, and the events that came meanwhile."""
    with watching(peer, count) as watchers:
        stage.settle(STARTED_SECONDS)
        before, started = machine.exact_processor(peer.tree()), time.perf_counter()
        time.sleep(max(_SECONDS * stage.share, 3))
        took, seconds = machine.exact_processor(peer.tree()) - before, time.perf_counter() - started
    whole, running = watchers.counted()
    return took, round(whole * seconds / running) if running else 0
