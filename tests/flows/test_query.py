"""POST /michiQ/query/{id}: questions about a case, answered by LlamaChat (CONTRACT Q)."""

import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from proxy.sandbox import SandboxConfig
from proxy.sandbox.faults import Fault, Kind
from tests.captured import captured_log
from tests.conftest import IDENTITY, Api, StartProxy
from tests.flows.reading import (
    ALLERGY,
    ANSWER,
    CONVERSATIONS,
    MESSAGES,
    Reply,
    allergic,
    ask,
    call,
    files_form,
    report,
    sent,
    unreported,
)

MISSING_TOKEN: Final = "Authorization token missing or invalid"
FAILED: Final = "Error al generar la respuesta"
BAD: Final = "Error al procesar la solicitud"
NO_QUERY: Final = "Query no proporcionada"
NO_ID: Final = "ID audio no proporcionado"


# Q01, Q02: what comes in and goes out.


async def test_query_Q01_a_question_gets_llamachats_answer(api: Api) -> None:
    reply = await ask(api, await allergic(api), "¿A qué es alérgica?")
    assert reply.status == 200
    assert reply.json == {"response": ANSWER}
    assert ANSWER.encode() in reply.body  # UTF-8, not ASCII-escaped


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", ""])
async def test_query_Q01_the_body_is_json_whatever_it_says_that_it_is(api: Api, content_type: str) -> None:
    case = await allergic(api)
    body = b'\xef\xbb\xbf {"query": "\\u00bfA qu\xc3\xa9 es al\xc3\xa9rgica?", "other": 1}\n'
    path = f"/michiQ/query/{case['michiq_uuid']}"
    reply = await call(
        api, "POST", path, case["token"], data=body, headers={"Content-Type": content_type or "x"}
    )
    assert reply.json == {"response": ANSWER}


@pytest.mark.parametrize("path", ["/michiQ/query", "/michiQ/query/"])
async def test_query_Q02_without_an_id_it_is_400(api: Api, path: str) -> None:
    case = await allergic(api)
    reply = await call(api, "POST", path, case["token"], json={"query": "¿Qué?"})
    assert reply.says(400, NO_ID)


BAD_BODIES: Final = {
    "nothing": (b"", BAD),
    "text": (b"hola", BAD),
    "cut": (b'{"query": "a', BAD),
    "a list": (b'["query"]', BAD),
    "a string": (b'"query"', BAD),
    "null": (b"null", BAD),
    "a number for a query": (b'{"query": 3}', BAD),
    "a list for a query": (b'{"query": ["a"]}', BAD),
    "null for a query": (b'{"query": null}', BAD),
    "two queries": (b'{"query": "a", "query": "b"}', BAD),
    "UTF-16": '{"query": "a"}'.encode("utf-16"),
    "half a pair": b'{"query": "\\ud83d"}',
    "NaN": b'{"query": "a", "x": NaN}',
    "too deep": b'{"query": "a", "x": ' + b"[" * 100 + b"]" * 100 + b"}",
    "two objects": b'{"query": "a"}{}',
    "a form": b"query=a",
    "no query": (b"{}", NO_QUERY),
    "another name": (b'{"querys": "a"}', NO_QUERY),
    "an empty query beside another spelling": (b'{"query": "", "Query": "a"}', NO_QUERY),
    "null beside another spelling": (b'{"query": null, "Query": "a"}', BAD),
    "a number in another spelling": (b'{"QUERY": 3}', BAD),
    "two marks": b'\xef\xbb\xbf\xef\xbb\xbf{"query": "a"}',
    "NULs alone": b"\0\0\0",
    "NULs before": b'\0{"query": "a"}',
    "NULs within": b'{"query": "a\0"}',
    "null and NULs": b"null\0",
    "an empty query": (b'{"query": ""}', NO_QUERY),
    "a blank query": (b'{"query": " \\n\\t\\u00a0"}', NO_QUERY),
}


async def test_query_Q02_a_body_without_a_question_is_400_and_nothing_is_sent(api: Api) -> None:
    case = await allergic(api)
    path = f"/michiQ/query/{case['michiq_uuid']}"
    wrong: dict[str, Reply] = {}
    for name, entry in BAD_BODIES.items():
        body, sentence = entry if isinstance(entry, tuple) else (entry, BAD)
        reply = await call(api, "POST", path, case["token"], data=body)
        if not reply.says(400, sentence):
            wrong[name] = reply
    assert wrong == {}
    assert api.sandbox.llamachat.calls == []


# The question "¿A qué es alérgica?" as programs write it down: a type, and a body.
QUESTION: Final = '{"query": "¿A qué es alérgica?"}'
WRITTEN: Final[dict[str, tuple[str, bytes]]] = {
    "Latin-1, undeclared": ("application/json", QUESTION.encode("latin-1")),
    "Latin-1, declared": ("application/json; charset=ISO-8859-1", QUESTION.encode("latin-1")),
    "Windows-1252": ("application/json", QUESTION.replace('"¿', '"“¿').encode("cp1252")),
    "UTF-8, said to be what nobody knows": ("application/json; charset=klingon", QUESTION.encode()),
    "UTF-8, said to be ASCII by halves": ("application/json; charset", QUESTION.encode()),
    "UTF-8 with a mark, declared": ('text/json; charset="UTF-8"', b"\xef\xbb\xbf" + QUESTION.encode()),
    "UTF-16, declared": ("application/json; charset=utf-16", QUESTION.encode("utf-16")),
    "UTF-16 with NULs, declared": ("text/plain; charset=utf-16le", (QUESTION + "\0\0").encode("utf-16-le")),
    "another case": ("application/json", QUESTION.replace("query", "Query").encode()),
    "capitals": ("application/json", QUESTION.replace("query", "QUERY").encode()),
    "capitals, escaped": ("application/json", QUESTION.replace("query", "\\u0051UERY").encode()),
    "two cases": ("application/json", QUESTION.replace("{", '{"QUERY": "¿Edad?", "Query": 1, ').encode()),
    "two other cases": (
        "application/json",
        QUESTION.replace('{"query"', '{"QUERY": "¿Edad?", "Query"').encode(),
    ),
    "NULs at the end": ("application/json", QUESTION.encode() + b"\r\n\0\0 \0"),
    "all of it": ("application/json", QUESTION.replace("query", "QUERY").encode("latin-1") + bytes(100_000)),
}


@pytest.mark.parametrize(("kind", "body"), WRITTEN.values(), ids=WRITTEN)
async def test_query_Q02_a_question_is_read_as_its_program_wrote_it(api: Api, kind: str, body: bytes) -> None:
    case = await allergic(api)
    path = f"/michiQ/query/{case['michiq_uuid']}"
    reply = await call(api, "POST", path, case["token"], data=body, headers={"Content-Type": kind})
    assert reply.json == {"response": ANSWER}
    assert "¿A qué es alérgica?" in sent(api)[-1]


async def test_query_Q02_a_body_over_the_limit_is_413_and_nothing_is_sent(api: Api) -> None:
    case = await allergic(api)
    reply = await ask(api, case, "a" * 1_000_001)
    assert reply.says(413, "Solicitud demasiado grande")
    assert api.sandbox.llamachat.calls == []


async def test_query_Q02_an_unknown_id_and_another_users_are_400_alike_and_nothing_is_sent(api: Api) -> None:
    mine = await allergic(api)
    other = await allergic(api, user_mail="eva@clinica.example")
    elsewhere = await allergic(api, organization="Clínica Sur")
    ids = [
        other["michiq_uuid"],
        elsewhere["michiq_uuid"],
        "unknown",
        "%2E%2E",
        "a%2Fb",
        "a" * 65,
        "%00",
        "%C3%B1",
    ]
    replies = {case_id: await ask(api, {**mine, "michiq_uuid": case_id}, "¿Alergias?") for case_id in ids}
    assert [case_id for case_id, reply in replies.items() if not reply.says(400, BAD)] == []
    assert api.sandbox.llamachat.calls == []


async def test_query_Q02_without_a_valid_token_it_is_401_and_nothing_is_sent(api: Api) -> None:
    case = await allergic(api)
    path = f"/michiQ/query/{case['michiq_uuid']}"
    for headers in ({}, {"Authorization": "Bearer unknown"}, {"Authorization": "Basic YTpi"}):
        reply = await call(api, "POST", path, json={"query": "¿Alergias?"}, headers=headers)
        assert reply.says(401, MISSING_TOKEN), headers
    api.clock.ahead = timedelta(hours=12)
    assert (await ask(api, case, "¿Alergias?")).says(401, MISSING_TOKEN)
    assert api.sandbox.llamachat.calls == []


# Q03: LlamaChat's failures.

FAULTS: Final[dict[str, tuple[Kind, int | None]]] = {
    **{str(status): ("status", status) for status in (400, 401, 402, 403, 409, 413, 422, 429, 500, 502, 503)},
    "a gateway's page": ("html", None),
    "a gateway's error page": ("html", 502),
    "a redirect": ("redirect", None),
    "cut before the body": ("cut_before_body", None),
    "cut after the body": ("cut_after_body", None),
    "broken JSON": ("broken_json", None),
    "another type": ("wrong_content_type", None),
    "a cut answer": ("truncated", None),
    "2 MiB": ("oversized", None),
}


@pytest.mark.parametrize("prefix", [CONVERSATIONS, MESSAGES])
async def test_query_Q03_any_failure_of_llamachat_is_500_and_the_next_question_is_answered(
    api: Api, prefix: str
) -> None:
    """Covers Q04, too: a message that failed does not count as sent; its passages come with the next one."""
    wrong: dict[str, object] = {}
    for name, (kind, status) in FAULTS.items():
        case = await allergic(api)
        api.sandbox.llamachat.faults.add(Fault(kind=kind, status=status, path_prefix=prefix))
        failed = await ask(api, case, "¿A qué es alérgica?")
        before = len(sent(api))
        answered = await ask(api, case, "¿A qué es alérgica?")
        if not failed.says(500, FAILED) or "X-Michiq-Cause" not in failed.headers:
            wrong[name] = failed
        elif answered.json != {"response": ANSWER} or ALLERGY not in sent(api)[before]:
            wrong[name] = answered
    assert wrong == {}


async def test_query_Q03_a_redirect_is_not_followed(api: Api) -> None:
    location = f"{api.sandbox.michiq.url}/elsewhere"
    api.sandbox.llamachat.faults.add(Fault(kind="redirect", location=location))
    assert (await ask(api, await allergic(api), "¿Alergias?")).says(500, FAILED)
    assert api.sandbox.michiq.calls == []


@pytest.mark.parametrize(
    ("environ", "cause"),
    [
        ({"MICHIQ_LLAMACHAT_API_KEY": "wrong"}, "llamachat-401"),
        ({"MICHIQ_LLAMACHAT_URL": "", "MICHIQ_LLAMACHAT_API_KEY": ""}, "llamachat-not-configured"),
    ],
)
async def test_query_Q03_a_key_that_is_refused_or_missing_is_ours_not_the_clients(
    start_proxy: StartProxy, environ: dict[str, str], cause: str
) -> None:
    async with start_proxy(**environ) as api:
        reply = await ask(api, await allergic(api), "¿Alergias?")
    assert reply.says(500, FAILED)
    assert reply.headers["X-Michiq-Cause"] == cause


async def test_query_Q03_a_llamachat_that_is_not_there_is_500(start_proxy: StartProxy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with start_proxy(MICHIQ_LLAMACHAT_URL=url) as api:
            reply = await ask(api, await allergic(api), "¿Alergias?")
    assert reply.says(500, FAILED)
    assert reply.headers["X-Michiq-Cause"] == "llamachat-unreachable"


async def test_query_G08_an_operator_can_give_llamachats_failures_other_answers(
    start_proxy: StartProxy,
) -> None:
    def busy(text: str) -> str:
        return text.replace(
            f'upstream_busy = {{ status = 500, text = "{FAILED}"',
            'upstream_busy = { status = 503, text = "Luego"',
        )

    async with start_proxy(edit={"query": busy}) as api:
        api.sandbox.llamachat.faults.add(Fault(kind="status", status=429))
        assert (await ask(api, await allergic(api), "¿Alergias?")).says(503, "Luego")


# Q07: the operator's keys.


def with_own_key(text: str) -> str:
    return f'{text}\n[organizations."Clínica Norte"]\nllamachat_api_key_file = "norte.key"\n'


async def test_query_Q07_an_organization_may_have_its_own_key(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "norte.key").write_text("norte-chat-key\n")
    config = SandboxConfig(chat_keys={"everyone": "sandbox-chat-key", "norte": "norte-chat-key"})
    async with start_proxy({"organizations": with_own_key}, config) as api:
        for organization in ("Clínica Norte", "Clínica Sur"):
            reply = await ask(api, await allergic(api, organization=organization), "¿Alergias?")
            assert reply.status == 200
        consumers = [each.facts["consumer"] for each in api.sandbox.llamachat.calls]
        keys = [each.header("X-Api-Key") for each in api.sandbox.llamachat.calls]
    assert consumers == ["norte", "norte", "everyone", "everyone"]
    assert keys == [b"norte-chat-key"] * 2 + [b"sandbox-chat-key"] * 2


async def test_query_Q07_after_a_change_of_consumer_the_conversation_is_begun_anew(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    """Consumers see only their own conversations; a restart with another key finds the old one gone."""
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "norte.key").write_text("norte-chat-key")
    config = SandboxConfig(chat_keys={"everyone": "sandbox-chat-key", "norte": "norte-chat-key"})
    async with start_proxy(config=config) as api:
        case = await allergic(api)
        assert (await ask(api, case, "¿Alergias?")).status == 200
    async with start_proxy({"organizations": with_own_key}, config) as api:
        assert (await ask(api, case, "¿A qué es alérgica?")).json == {"response": ANSWER}
        [conversation] = api.sandbox.llamachat.conversations.values()
    assert conversation.consumer == "norte"


# G10: for the three routes that read a case.

CANARIES: Final = (
    "zafiro-ehr",
    "zafiro-dicho",
    "zafiro-fichero",
    "zafiro-texto",
    "zafiro-informe",
    "zafiro-duda",
)


async def read_everything(api: Api) -> tuple[list[Reply], list[str]]:
    """A case full of canaries, read in every way that works and that fails; the answers, and its secrets."""
    ehr, said, filename, text, reported, asked = CANARIES
    note = (f"{filename}.txt", text.encode(), "text/plain")
    case = await unreported(
        api, files_form(note, ehr=json.dumps({"id": ehr, "name": ehr}), conversation=said)
    )
    await report(api, "report.created", case, reported, {reported: reported})
    token = case["token"]
    document, query = f"/michiQ/doc/{case['michiq_uuid']}", f"/michiQ/query/{case['michiq_uuid']}"
    replies = [await ask(api, case, f"¿{asked}?")]
    kinds: tuple[Kind, ...] = ("status", "broken_json", "cut_after_body", "html")
    for kind in kinds:
        api.sandbox.llamachat.faults.add(Fault(kind=kind))
        replies.append(await ask(api, case, f"¿{asked}?"))
    replies += [
        await ask(api, case, asked * 2000),
        await call(api, "POST", query, token, data=f'{{"query": "{asked}'),
        await call(api, "POST", f"/michiQ/query/{asked}?{asked}={asked}", token, json={"query": asked}),
        await call(api, "GET", f"/michiQ/doc/{asked}", token),
        await call(api, "GET", document, asked),
        await call(api, "POST", document, token, data=asked),
        await call(api, "GET", document, token),
        await call(api, "GET", "/michiQ/encounters", token),
    ]
    return replies, [token, *IDENTITY.values(), *api.sandbox.llamachat.conversations]


async def test_query_G10_nothing_of_a_case_its_user_or_its_conversation_is_logged(
    start_proxy: StartProxy,
) -> None:
    with captured_log() as log:
        async with start_proxy() as api:
            replies, secrets = await read_everything(api)
    written = log.getvalue()
    routes = [line.get("route") for line in map(json.loads, written.splitlines())]
    assert {"/michiQ/query/{id}", "/michiQ/doc/{id}", "/michiQ/encounters"} <= set(routes)
    spelt = [form for word in (*CANARIES, *secrets) for form in (word, json.dumps(word)[1:-1])]
    assert [word for word in spelt if word in written] == []
    failed = [reply for reply in replies if reply.status != 200]
    assert len(failed) == 10
    told = "".join(json.dumps([reply.text, dict(reply.headers)]) for reply in failed)
    assert [word for word in spelt if word in told] == []
