"""L4: four recordings of 90 MB at once, to a process that has just started."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import bodies, calls, machine
from tests.bench.client import Client, request
from tests.bench.processes import Kind, Peer
from tests.bench.stage import STARTED_SECONDS, Stage
from tests.bench.values import Sample, Void

_COUNT = 4


def four_recordings(stage: Stage, kind: Kind) -> Sample:
    """The memory is that of all the peer's processes, each at its own highest, over what they had before."""
    with stage.fresh(kind) as peer:
        cases = calls.new_cases(peer, _COUNT)
        size = stage.scaled(bodies.AUDIO)
        small, large = bodies.audio_form(100_000), bodies.audio_form(size)
        for case in cases:
            _upload(peer, case, small)
        before = _arrived(stage, peer)
        stage.settle(STARTED_SECONDS)
        pids = peer.tree()
        machine.forget_peaks(pids)
        idle, taken = _memory(pids, "VmRSS"), machine.processor(pids)
        started = time.perf_counter()
        _together(peer, cases, large)
        wall = time.perf_counter() - started
        sample = {
            "wall": wall,
            "grown": (_memory(pids, "VmHWM") - idle) / machine.MB,
            "cpu": (machine.processor(pids) - taken) * 1000 / (_COUNT * len(large) / machine.MB),
        }
        if _arrived(stage, peer) - before < _COUNT * size:
            raise Void("not every byte of the recordings arrived")
        return sample


def _together(peer: Peer, cases: Sequence[calls.Case], form: bytes) -> None:
    with machine.on_core(machine.LOAD_CORE), ThreadPoolExecutor(len(cases)) as threads:
        for upload in [threads.submit(_upload, peer, case, form) for case in cases]:
            upload.result()


def _upload(peer: Peer, case: calls.Case, form: bytes) -> None:
    headers = {**bodies.bearer(case.token), **bodies.FORM, "Content-Length": str(len(form))}
    with Client(peer.port) as client:
        client.socket.sendall(request("POST", f"/michiQ/uploadAudio/{case.id}", headers))
        client.socket.sendall(form)
        if (answer := client.answer()).status != 200:
            raise Void(f"uploadAudio was answered {answer.status}")


def _memory(pids: Sequence[int], counter: str) -> int:
    return sum(machine.memory(pid, counter) for pid in pids)


def _arrived(stage: Stage, peer: Peer) -> int:
    """Returns the bytes that the floor sent on, or that the proxy keeps, sealed."""
    if peer.kind == "floor":
        return stage.upstream.counts().get("bytes", 0)
    kept = (Path(each) for each in (peer.folder / "blobs").rglob("*"))
    return sum(each.stat().st_size for each in kept if each.is_file())
