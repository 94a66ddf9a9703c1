"""The cost of an idle proxy: its processor time and memory, its start, and its healthcheck."""

import os
import statistics
import subprocess
import sys
import time

from tests.bench import bodies, calls, machine, pages
from tests.bench.client import Client
from tests.bench.processes import ROOT, Kind, Peer
from tests.bench.stage import STARTED_SECONDS, Stage
from tests.bench.values import Sample, Void

_IDLE_SECONDS = 10
_CHECKS = 3


def at_rest(stage: Stage, kind: Kind) -> Sample:
    """Memory is read before the first request, processor after some of them."""
    with stage.fresh(kind) as peer:
        stage.settle(STARTED_SECONDS)
        serving, whole = machine.memory(peer.pid, "VmRSS"), machine.proportional(peer.tree())
        _used(peer)
        stage.settle(STARTED_SECONDS)
        sample = {
            "ready": peer.ready_seconds,
            "serving": serving / machine.MB,
            "tree": whole / machine.MB,
            "processor": _idle(stage, peer),
        }
        return (
            sample if kind == "floor" else sample | {"healthcheck": _healthcheck(peer, stage.scaled(_CHECKS))}
        )


def _used(peer: Peer) -> None:
    with Client(peer.port) as client:
        for form in (bodies.case_form(20 * bodies.KB), pages.page_form()):
            case = calls.new_case(client, form)
            calls.good(client.send(case.query("¿Qué tensión tiene?")))
            calls.good(client.send(calls.encounters_request()))


def _idle(stage: Stage, peer: Peer) -> float:
    """Returns the milliseconds of processor that the whole tree takes in a second."""
    before, started = machine.exact_processor(peer.tree()), time.perf_counter()
    stage.settle(_IDLE_SECONDS)
    return (machine.exact_processor(peer.tree()) - before) * 1000 / (time.perf_counter() - started)


def _healthcheck(peer: Peer, count: int) -> float:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **peer.environ}
    times = []
    for _ in range(count):
        started = time.perf_counter()
        with machine.on_core(machine.LOAD_CORE):
            ran = subprocess.run(
                [sys.executable, "-m", "proxy", "healthcheck"],
                cwd=peer.folder,
                env=environ,
                capture_output=True,
                timeout=60,
                check=False,
            )
        times.append(time.perf_counter() - started)
        if ran.returncode:
            raise Void(f"healthcheck ended with {ran.returncode}")
    return statistics.median(times)
