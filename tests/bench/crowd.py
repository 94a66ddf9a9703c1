"""doc, encounters and query of a user with 20 cases, in a store of 1,000 cases and in one of very many."""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.bench import bodies, calls
from tests.bench.client import Client
from tests.bench.processes import ROOT, Kind, Peer, served
from tests.bench.stage import Stage
from tests.bench.stored import Stored
from tests.bench.values import Sample, Void

_FEW: Final = 1000
_OWN: Final = 20
_OTHER: Final = 1  # the number of the caller whose one case is multiplied


def crowded(stage: Stage, kind: Kind) -> Sample:
    """Returns medians with many cases in the store, and how many times those with few they are."""
    with ExitStack() as opened:
        environ = {"MICHIQ_MAPPINGS": str(ROOT / "mappings"), "MICHIQ_LEGACY_URL": ""}
        fewer = stage.stored(stage.folder / "few")
        with _serving(stage, fewer, environ) as peer:
            environ["MICHIQ_SECRET_KEYS"] = peer.environ["MICHIQ_SECRET_KEYS"]
            other, *cases = _prepared(peer)
        stores = [fewer, fewer.copy(stage.folder / "many")]
        for store, count in zip(stores, (_FEW, stage.cases), strict=True):
            store.multiply(other.id, count - _OWN - 1, _OWN)
        peers = [opened.enter_context(_serving(stage, each, environ)) for each in stores]
        few, much = _compared(stage, peers, cases)
    for store in stores:
        store.close()
    return {name: time_ * 1000 for name, time_ in much.items()} | {
        f"{name}_ratio": much[name] / few[name] for name in few
    }


@contextmanager
def _serving(stage: Stage, store: Stored, environ: Mapping[str, str]) -> Iterator[Peer]:
    with served(store.folder, stage.upstream, **environ, **store.environ) as peer:
        yield peer


def _prepared(peer: Peer) -> list[calls.Case]:
    """Makes a case of another user and then the user's, with a question about each."""
    with Client(peer.port) as client:
        form = bodies.case_form(bodies.KB)
        cases = [calls.new_case(client, form, number) for number in (_OTHER, *[0] * _OWN)]
        for case in cases:
            calls.good(client.send(case.query("¿Qué tensión tiene?")))
    return cases


def _compared(stage: Stage, peers: list[Peer], cases: list[calls.Case]) -> tuple[dict[str, float], ...]:
    """Returns each peer's medians; peers take turns, call by call."""
    times: list[dict[str, list[float]]] = [{"doc": [], "encounters": [], "query": []} for _ in peers]
    deadline = time.monotonic() + 3 * stage.seconds
    with ExitStack() as opened:
        clients = [opened.enter_context(Client(peer.port)) for peer in peers]
        number = 0
        while time.monotonic() < deadline or number < _OWN:
            case = cases[number % len(cases)]
            for client, timed in zip(clients, times, strict=True):
                for name, call in _calls(case).items():
                    timed[name].append(_seconds(client, name, call))
            number += 1
    return tuple({name: statistics.median(each) for name, each in timed.items()} for timed in times)


def _calls(case: calls.Case) -> dict[str, bytes]:
    return {
        "doc": case.get(f"/michiQ/doc/{case.id}"),
        "encounters": case.get("/michiQ/encounters"),
        "query": case.query("¿Qué tensión tiene?"),
    }


def _seconds(client: Client, name: str, call: bytes) -> float:
    started = time.perf_counter()
    answer = client.send(call)
    took = time.perf_counter() - started
    if answer.status != 200 or (name == "encounters" and len(answer.json()) != _OWN):
        raise Void(f"{name} was answered {answer.status}, {len(answer.body)} bytes")
    return took
