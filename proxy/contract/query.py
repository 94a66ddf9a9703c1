"""Checks Q: POST /michiQ/query/{id}."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Writes, chosen, documented, proxys_own, unseen
from proxy.contract.probe import Probe
from proxy.contract.reply import Reply
from proxy.contract.routes import QUERY
from proxy.jsons import dump
from proxy.values import Json

_JSON: Final = "application/json"
_QUESTION: Final = "¿Qué temperatura tiene?"
_BAD_REQUEST: Final = "Error al procesar la solicitud"
_BAD_BODIES: Final = {
    "the body is empty": b"",
    "the body is no JSON": b'{"query": ',
    "the body is an array": b'["Prueba"]',
    "`query` is a number": b'{"query": 1}',
    "`query` is null": b'{"query": null}',
    "`query` is an object": b'{"query": {}}',
}


async def _ask(probe: Probe, body: bytes, path: str | None = None) -> Reply:
    case = await probe.main()
    target = QUERY.path(case.id) if path is None else path
    return await probe.ask(QUERY.method, target, token=case.token, body=body, content_type=_JSON)


@documented("Q01", QUERY, "a question is answered with `response` alone", Writes(questions=1))
async def answered(probe: Probe) -> None:
    answer = expect.json_object(await _ask(probe, _body(_QUESTION)))
    expect.exactly_keys(answer, {"response"})
    expect.kinds(answer, {"response": expect.FILLED})


@documented("Q02", QUERY, "no id in the path is answered 400", SHARED)
async def no_id(probe: Probe) -> None:
    for path in (QUERY.base, f"{QUERY.base}/"):
        reply = await _ask(probe, _body(_QUESTION), path)
        expect.text(reply, 400, "ID audio no proporcionado", when=f"the path is {path}")


@documented("Q02", QUERY, "a body that is no JSON object with a text `query` is answered 400", SHARED)
async def bad_body(probe: Probe) -> None:
    for when, body in _BAD_BODIES.items():
        expect.text(await _ask(probe, body), 400, _BAD_REQUEST, when=when)


@documented("Q02", QUERY, "an empty or blank question is answered 400", SHARED)
async def empty_question(probe: Probe) -> None:
    for query in ("", "  \n\t"):
        expect.text(await _ask(probe, _body(query)), 400, "Query no proporcionada", when="it is blank")


@chosen("Q02", QUERY, "an unknown id, or another user's, is answered 400", SHARED)
async def unknown_id(probe: Probe) -> None:
    ids = ["prueba-michiq-proxy-desconocido"]
    if probe.target.other_user is not None:
        ids.append((await probe.foreign()).id)
    for legacy_id in ids:
        expect.text(await _ask(probe, _body(_QUESTION), QUERY.path(legacy_id)), 400, _BAD_REQUEST)


@chosen(
    "Q04", QUERY, "the answer to a question about a fact in a file has the fact in it", Writes(questions=1)
)
async def from_the_case(probe: Probe) -> None:
    response = expect.json_object(await _ask(probe, _body(_QUESTION))).get("response")
    found = isinstance(response, str) and "38.7" in response.replace(",", ".")
    expect.true(found, "the temperature of the PDF, 38.7, in the answer", "an answer without it")


@proxys_own(
    "Q05",
    QUERY,
    "a long question is sent in parts; one of more than five is answered 400",
    Writes(questions=1),
)
async def long_question(probe: Probe) -> None:
    long = "En este caso de prueba hay mucho que contar. " * 60 + _QUESTION
    expect.kinds(expect.json_object(await _ask(probe, _body(long))), {"response": expect.FILLED})
    expect.text(
        await _ask(probe, _body("prueba " * 2000)), 400, _BAD_REQUEST, when="it has 14,000 characters"
    )


def _body(query: Json) -> bytes:
    return dump({"query": query})


_BEHIND: Final = "happens between the proxy and LlamaChat; the project's own tests prove it"

CHECKS: Final = (
    answered,
    no_id,
    bad_body,
    empty_question,
    unknown_id,
    unseen("Q03", QUERY, "a failure of LlamaChat is answered 500", _BEHIND),
    from_the_case,
    long_question,
    unseen("Q06", QUERY, "a case has one conversation for each user", _BEHIND),
    unseen("Q07", QUERY, "LlamaChat is called with the operator's key", _BEHIND),
)
