"""L6: the time that a peer adds to a call, from pairs of calls: through it, and straight to the upstream."""

import gc
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench import bodies, calls, machine
from tests.bench.bodies import EHR, Part
from tests.bench.client import Client, request
from tests.bench.processes import CHAT_KEY, Kind, Peer
from tests.bench.stage import Stage
from tests.bench.values import Sample, Void

_RATE = 300
_WARM = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """A legacy call, and the calls to the upstream that it stands for."""

    name: str
    legacy: bytes
    port: int
    upstream: Sequence[bytes]


def added(stage: Stage, kind: Kind) -> Sample:
    """Returns the median of what was added, in microseconds, for each kind of call."""
    peer = stage.peer(kind)
    gc.disable()
    try:
        with machine.on_core(machine.LOAD_CORE):
            return {pair.name: _added(stage, peer, pair) for pair in _pairs(stage, peer)}
    finally:
        gc.enable()


def _added(stage: Stage, peer: Peer, pair: Pair) -> float:
    with ExitStack() as opened:
        through, straight = (opened.enter_context(Client(port)) for port in (peer.port, pair.port))
        for _ in range(_WARM):
            _once(through, straight, pair)
        differences, begun = [], time.perf_counter()
        for number in range(max(1, round(stage.seconds * _RATE))):
            time.sleep(max(0.0, begun + number / _RATE - time.perf_counter()))
            differences.append(_once(through, straight, pair))
    return statistics.median(differences) * 1e6


def _once(through: Client, straight: Client, pair: Pair) -> float:
    started = time.perf_counter()
    status = through.send(pair.legacy).status
    between = time.perf_counter()
    for each in pair.upstream:
        status = max(status, straight.send(each).status)
    ended = time.perf_counter()
    if status != 200:
        raise Void(f"{pair.name} was answered {status}")
    return (between - started) - (ended - between)


def _pairs(stage: Stage, peer: Peer) -> list[Pair]:
    new, legacy = (int(url.rpartition(":")[2]) for url in (stage.upstream.new, stage.upstream.legacy))
    (case,) = calls.new_cases(peer, 1)
    form = bodies.case_form(20 * bodies.KB)
    return [
        Pair("pass", calls.encounters_request(), legacy, [calls.encounters_request()]),
        Pair("case", calls.new_case_request(form), new, _new_case()),
        Pair("query", case.query("¿Qué tensión tiene?"), new, [message(new)]),
    ]


def _new_case() -> list[bytes]:
    headers = {"X-API-KEY": "bench-api-key", "X-USER-EMAIL": "ana0@clinica.example"}
    about = Part("patientMetadata", EHR.content, content_type="application/json")
    form = bodies.form([about, bodies.picture(20 * bodies.KB)])
    return [
        request("GET", "/api/users/me", headers),
        request("POST", "/api/cases", headers | bodies.FORM, form),
    ]


def message(port: int) -> bytes:
    """Returns a message to a conversation that is made for it."""
    headers = {"X-API-KEY": CHAT_KEY} | bodies.JSON
    with Client(port) as client:
        made = client.call("POST", "/api/conversations", headers, b"{}").json()
    path = f"/api/conversations/{made['id']}/messages"
    return request("POST", path, headers, '{"content": "¿Qué tensión tiene?"}'.encode())
