"""Load by wrk: as many requests as a peer answers, and what they took of its processor."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from tests.bench import machine
from tests.bench.processes import Peer
from tests.bench.stage import Stage
from tests.bench.values import Sample, Void

_SCRIPT: Final = Path(__file__).with_name("requests.lua")
_GRACE_SECONDS: Final = 60
_QUIET_SECONDS: Final = 0.5
_QUIET_TRIES: Final = 40


@dataclass(frozen=True, slots=True)
class Burst:
    """The result of a load: latencies in microseconds, and the upstreams' counts during it."""

    requests: int
    connections: int
    seconds: float
    p50: float
    p99: float
    processor: float
    counted: Mapping[str, int]

    def sample(self) -> Sample:
        return {
            "rate": self.requests / self.seconds,
            "cpu": self.processor * 1e6 / self.requests,
            "p50": self.p50,
            "p99": self.p99,
            "tail": self.p99 / self.p50,
        }

    def fit(self, *routes: str) -> "Burst":
        """Raises Void unless each route was called once an answer, those under way at the end aside."""
        for route in routes:
            called = self.counted.get(route, 0)
            if not self.requests <= called <= self.requests + self.connections:
                raise Void(f"{self.requests} answers, and {called} calls to {route}")
        return self


def burst(stage: Stage, peer: Peer, requests: Sequence[bytes], connections: int) -> Burst:
    """Sends the requests in turn over kept connections; raises Void where one isn't answered by 200."""
    connections = stage.scaled(connections)
    with NamedTemporaryFile(dir=stage.folder) as file:
        file.writelines(b"%d\n%b" % (len(each), each) for each in requests)
        file.flush()
        before, taken = stage.upstream.counts(), machine.processor(peer.tree())
        told = _run(peer.port, connections, max(1, round(stage.seconds)), file.name)
        taken = machine.processor(peer.tree()) - taken
    after = _quiet(stage)
    counted = {route: count - before.get(route, 0) for route, count in after.items()}
    if told["errors"] or counted.get("refused") or not told["requests"]:
        refused = counted.get("refused", 0)
        raise Void(f"{told['requests']} answers, {told['errors']} errors, {refused} calls refused upstream")
    seconds = told["microseconds"] / 1e6
    return Burst(int(told["requests"]), connections, seconds, told["p50"], told["p99"], taken, counted)


def _run(port: int, connections: int, seconds: int, file: str) -> dict[str, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(_SCRIPT)]
    with machine.on_core(machine.LOAD_CORE):
        ran = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/"],
            env={**os.environ, "REQUESTS": file},
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE_SECONDS,
            check=True,
        )
    told: dict[str, float] = json.loads(ran.stdout.strip().splitlines()[-1])
    return told


def _quiet(stage: Stage) -> dict[str, int]:
    """Returns the counters once no call comes any more: wrk leaves some without their answer."""
    before: dict[str, int] = {}
    for _ in range(_QUIET_TRIES):
        counts = stage.upstream.counts() | {"control": 0, "connections": 0}
        if counts == before:
            break
        before = counts
        time.sleep(_QUIET_SECONDS)
    return before
