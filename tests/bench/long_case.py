"""A case of 200 pages: what its first question costs over the upstream's time, and what the next ones do."""

import statistics
import time

from tests.bench import calls, pages
from tests.bench.client import Client
from tests.bench.latency import message
from tests.bench.processes import Kind
from tests.bench.stage import Stage
from tests.bench.values import Sample, Void

_PAGES = 200
_CASES = 3
_NEXT = 10


def long_case(stage: Stage, kind: Kind) -> Sample:
    """Returns milliseconds; the upstream's are what its messages take when they are sent straight to it."""
    first: list[float] = []
    later: list[float] = []
    form = pages.long_form(stage.scaled(_PAGES))
    with Client(stage.peer(kind).port, timeout=300) as client:
        for _ in range(_CASES):
            case = calls.new_case(client, form)
            first.append(_over(stage, client, case.query("¿Qué alergias tiene el paciente?")))
            later += [
                _over(stage, client, case.query(f"¿Qué se anotó el día {day}?")) for day in range(_NEXT)
            ]
    return {"first": statistics.median(first), "next": statistics.median(later)}


def _over(stage: Stage, client: Client, question: bytes) -> float:
    before = stage.upstream.counts().get("messages", 0)
    started = time.perf_counter()
    calls.good(client.send(question))
    took = time.perf_counter() - started
    sent = stage.upstream.counts().get("messages", 0) - before
    if sent == 0:
        raise Void("a question reached no upstream")
    return (took - sent * _message_seconds(stage)) * 1000


def _message_seconds(stage: Stage) -> float:
    """Returns the median time of a message that goes straight to the upstream."""
    port, times = int(stage.upstream.new.rpartition(":")[2]), []
    direct = message(port)
    with Client(port) as client:
        for _ in range(5):
            started = time.perf_counter()
            calls.good(client.send(direct))
            times.append(time.perf_counter() - started)
    return statistics.median(times)
