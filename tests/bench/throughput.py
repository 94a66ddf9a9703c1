"""L1, L2, L3, L5 and their kin: as much as a peer can do of one thing."""

from collections.abc import Sequence

from tests.bench import bodies, calls, pages
from tests.bench.processes import Kind
from tests.bench.stage import Stage
from tests.bench.values import Sample
from tests.bench.wrk import Burst, burst

_MB = 1_000_000


def pass_through(stage: Stage, kind: Kind) -> Sample:
    return _pass_through(stage, kind, 1)


def pass_through_many(stage: Stage, kind: Kind) -> Sample:
    return _pass_through(stage, kind, 2000)


def _pass_through(stage: Stage, kind: Kind, callers: int) -> Sample:
    requests = [calls.encounters_request(number) for number in range(stage.scaled(callers))]
    return burst(stage, stage.peer(kind), requests, 32).fit("encounters").sample()


def new_case(stage: Stage, kind: Kind) -> Sample:
    return _new_case(stage, kind, bodies.case_form(20 * bodies.KB), 16).sample()


def new_case_far(stage: Stage, kind: Kind) -> Sample:
    with stage.upstream.delayed(0.02):
        return _new_case(stage, kind, bodies.case_form(20 * bodies.KB), 128).sample()


def new_case_large(stage: Stage, kind: Kind) -> Sample:
    form = bodies.case_form(stage.scaled(8 * bodies.KB**2))
    done = _new_case(stage, kind, form, 4)
    megabytes = done.requests * len(form) / _MB
    return {"speed": megabytes / done.seconds, "cpu": done.processor * 1000 / megabytes}


def new_case_page(stage: Stage, kind: Kind) -> Sample:
    return _new_case(stage, kind, pages.page_form(), 16).sample()


def _new_case(stage: Stage, kind: Kind, form: bytes, connections: int) -> Burst:
    requests = [calls.new_case_request(form)]
    return burst(stage, stage.peer(kind), requests, connections).fit("cases", "users_me")


def query(stage: Stage, kind: Kind) -> Sample:
    peer = stage.peer(kind)
    questions = _asked(calls.new_cases(peer, 64))
    return burst(stage, peer, questions, 32).fit("messages").sample()


def _asked(cases: Sequence[calls.Case]) -> list[bytes]:
    return [case.query("¿Cómo ha evolucionado la tensión del paciente?") for case in cases]
