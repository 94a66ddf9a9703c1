"""Round trips: what a call costs where the upstreams are 20 ms away and speak TLS."""

import statistics
import time
from collections.abc import Callable

from tests.bench import bodies, calls
from tests.bench.client import Client
from tests.bench.processes import Kind, Peer, upstream
from tests.bench.stage import Stage
from tests.bench.values import Sample, Void
from tests.certificates import Made, make

_ROUND_TRIP_MS = 20
_CALLERS = 40


def round_trips(stage: Stage, kind: Kind) -> Sample:
    folder = stage.folder / f"far-{kind}"
    folder.mkdir(exist_ok=True)
    made = make(folder, "upstream")
    with (
        upstream(
            folder, "--tls", str(made.certificate), str(made.key), "--round-trip", str(_ROUND_TRIP_MS)
        ) as far,
        stage.fresh(kind, far, **_trust(kind, made)) as peer,
    ):
        before = far.counts()
        sample, cases = _measured(stage, peer)
        called = far.counts().get("cases", 0) - before.get("cases", 0)
        if called != cases:
            raise Void(f"{cases} answers of newCase, and {called} calls")
        return sample


def _trust(kind: Kind, made: Made) -> dict[str, str]:
    return {"MICHIQ_CA_FILE" if kind == "proxy" else "FLOOR_CA_FILE": str(made.certificate)}


def _measured(stage: Stage, peer: Peer) -> tuple[Sample, int]:
    """Returns the medians, and how many cases were made: one for questions and one of each caller before."""
    form, count = bodies.case_form(20 * bodies.KB), max(3, round(6 * stage.seconds))
    callers = stage.scaled(_CALLERS)
    with Client(peer.port) as client:
        case = calls.new_case(client, form)
        calls.good(client.send(case.query("¿Qué tensión tiene?")))
        for number in range(callers):
            calls.new_case(client, form, number)
        return {
            "case": _median(client, count, lambda _: calls.new_case_request(form)),
            "query": _median(client, count, lambda _: case.query("¿Qué edad tiene?")),
            "pass": _median(client, count, lambda _: calls.encounters_request()),
            "case_many": _median(client, callers, lambda n: calls.new_case_request(form, n)),
            "pass_many": _median(client, callers, lambda n: calls.encounters_request(n)),
        }, 1 + callers + count + callers


def _median(client: Client, count: int, call: Callable[[int], bytes]) -> float:
    times = []
    for number in range(count):
        started = time.perf_counter()
        calls.good(client.send(call(number)))
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000 / _ROUND_TRIP_MS
