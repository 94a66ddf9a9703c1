"""L7 and L8: what held connections cost in memory, and a fast client beside them in time."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import bodies, calls, machine
from tests.bench.client import Client
from tests.bench.processes import ROOT, Kind, Peer
from tests.bench.stage import STARTED_SECONDS, Stage
from tests.bench.values import Sample, Void

_RATE = 100


def idle_clients(stage: Stage, kind: Kind) -> Sample:
    return _beside(stage, kind, 1000, "idle")


def slow_clients(stage: Stage, kind: Kind) -> Sample:
    return _beside(stage, kind, 500, "slow")


def _beside(stage: Stage, kind: Kind, count: int, holding: str) -> Sample:
    count = stage.scaled(count)
    with stage.fresh(kind) as peer:
        _warm(peer)
        stage.settle(STARTED_SECONDS)
        before = _memory(peer)
        with _held(peer, count, holding) as holders:
            stage.settle(1)  # what is given back after the rush is given back
            held = _memory(peer)
            times = _fast_client(stage, peer)
            left, _ = holders.communicate("\n", timeout=30)
        if int(left.split()[-1]) < count:
            raise Void(f"{left.split()[-1]} of {count} connections are left")
        return {"kilobytes": (held - before) / bodies.KB / count, "p99": times[int(len(times) * 0.99)] * 1000}


def _warm(peer: Peer) -> None:
    form = bodies.case_form(20 * bodies.KB)
    with Client(peer.port) as client:
        for _ in range(20):
            calls.good(client.send(calls.encounters_request()))
            calls.new_case(client, form)


def _memory(peer: Peer) -> int:
    return sum(machine.memory(pid, "VmRSS") for pid in peer.tree())


@contextmanager
def _held(peer: Peer, count: int, holding: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.bench.holders", str(peer.port), str(count), holding]
    with machine.on_core(machine.LOAD_CORE):
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    try:
        assert process.stdout
        if process.stdout.readline().strip() != "held":
            raise Void("the connections could not be held")
        yield process
    finally:
        process.kill()
        process.wait()


def _fast_client(stage: Stage, peer: Peer) -> list[float]:
    """Returns the seconds of calls at a steady rate, in order of length."""
    times, call = [], calls.encounters_request()
    with machine.on_core(machine.LOAD_CORE), Client(peer.port) as client:
        begun = time.perf_counter()
        for number in range(max(1, round(stage.seconds * _RATE))):
            time.sleep(max(0.0, begun + number / _RATE - time.perf_counter()))
            started = time.perf_counter()
            calls.good(client.send(call))
            times.append(time.perf_counter() - started)
    return sorted(times)
