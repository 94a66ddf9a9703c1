"""The messages to LlamaChat about a case, and their conversation (CONTRACT Q04–Q06)."""

import asyncio
import hashlib
import json
import re
from typing import Any, Final

import pytest
from pytest_aiohttp import AiohttpServer

from proxy.flows.query import flow
from proxy.flows.query.planning import planned
from proxy.flows.query.prompt import Prompt
from proxy.isolated.pool import WorkerCrashed
from proxy.sandbox import SandboxConfig
from proxy.sandbox.faults import Fault
from proxy.text.units import utf16_units
from tests.conftest import Api, StartProxy, case_form
from tests.flows._client import until
from tests.flows.gated_chat import gated_chat
from tests.flows.reading import (
    ALLERGY,
    ANSWER,
    CONVERSATIONS,
    MESSAGES,
    allergic,
    ask,
    call,
    files_form,
    passages,
    paths,
    report,
    sent,
    transcribe,
    unreported,
)
from tests.samples import long_pdf, wav

FAILED: Final = "Error al generar la respuesta"
BAD: Final = "Error al procesar la solicitud"

# Q04: what LlamaChat is told.

_NAMES: Final = ("Zubiri", "Quintanilla", "Ibarra", "Weissmann", "Okafor", "Yáñez", "Xirau", "Fonseca")
_TESTS: Final = (
    "ecografía",
    "gammagrafía",
    "resonancia",
    "espirometría",
    "colonoscopia",
    "biopsia",
    "artroscopia",
)


def fact(page: int) -> str:
    name, test = _NAMES[page % len(_NAMES)], _TESTS[page % len(_TESTS)]
    return f"La {test} número {1000 + 7 * page} la informó la doctora {name}."


def question_about(page: int) -> str:
    return f"¿Quién informó de la {_TESTS[page % len(_TESTS)].upper()} {1000 + 7 * page}?"


async def test_query_Q04_any_fact_of_a_200_page_case_can_be_asked_for(api: Api) -> None:
    """A question for each of many pages, all in one conversation, through the whole proxy."""
    document = long_pdf(200, {page: fact(page) for page in range(1, 201)})
    form = files_form(("historia 📎.pdf", document, "application/pdf"), ehr='{"id": "p", "name": "Ana"}')
    case = await unreported(api, form)
    asked = [1, 40, 97, 128, 171, 200, 12, 55]
    answers = {page: (await ask(api, case, question_about(page))).json["response"] for page in asked}
    contents = sent(api)
    assert len(contents) == len(asked)
    so_far = {page: "\n".join(contents[: number + 1]) for number, page in enumerate(asked)}
    assert [page for page in asked if fact(page) not in so_far[page]] == []
    assert [page for page in asked if fact(page) not in answers[page]] == []
    assert all(1 <= utf16_units(content) <= 2000 for content in contents)
    told = [passage for content in contents for passage in passages(content)]
    assert len(told) > 5 * len(asked)
    assert len(told) == len(set(told))


async def test_query_Q04_every_kind_of_text_of_a_case_can_be_asked_for(start_proxy: StartProxy) -> None:
    audio = wav(1)
    config = SandboxConfig(
        transcripts={hashlib.sha256(audio).hexdigest(): "Duerme fatal por el ruido del camión."}
    )
    async with start_proxy(config=config) as api:
        ehr = '{"id": "p", "constantes": {"saturación": "93 por ciento"}}'
        note = ("nota.txt", "Vive con su tía Úrsula.".encode(), "text/plain")
        case = await unreported(api, files_form(note, ehr=ehr, conversation="Me caí de la bicicleta."))
        assert (await transcribe(api, case, audio)).status == 200
        await report(api, "report.created", case, "Plan: fisioterapia semanal.", {"código": "M54.5"})
        expected = {
            "¿Qué saturación tiene?": "93 por ciento",
            "¿Con quién vive?": "tía Úrsula",
            "¿Qué pasó con la bicicleta?": "Me caí",
            "¿Cómo duerme?": "camión",
            "¿Cuál es el plan?": "fisioterapia",
            "¿Qué código tiene?": "M54.5",
        }
        answers = {question: (await ask(api, case, question)).json["response"] for question in expected}
    assert {q: expected[q] in answers[q] for q in expected} == dict.fromkeys(expected, True)


def unforwarded(text: str) -> str:
    """The audio makes no linked case, of which the platform would have something to say too."""
    return text.replace('forward = "linked-case"', 'forward = "none"')


async def test_query_Q04_text_that_joins_the_case_reaches_later_questions(start_proxy: StartProxy) -> None:
    audio = wav(1)
    config = SandboxConfig(transcripts={hashlib.sha256(audio).hexdigest(): "La fiebre empezó el martes."})
    async with start_proxy({"speech_to_text": unforwarded}, config) as api:
        case = await allergic(api)
        await ask(api, case, "¿Cuándo empezó la fiebre?")
        assert (await transcribe(api, case, audio)).status == 200
        await ask(api, case, "¿Cuándo empezó la fiebre?")
        await report(api, "report.created", case, "Fiebre de origen viral.", {})
        await ask(api, case, "¿De qué origen es la fiebre?")
        await report(api, "report.updated", case, "Fiebre de origen bacteriano.", {})
        await ask(api, case, "¿De qué origen es la fiebre?")
        contents = sent(api)
    assert [len(passages(content)) for content in contents] == [2, 1, 1, 1]
    assert passages(contents[1]) == ["[transcripción] La fiebre empezó el martes."]
    assert passages(contents[2]) == ["[informe] Fiebre de origen viral."]
    assert passages(contents[3]) == ["[informe] Fiebre de origen bacteriano."]


async def test_query_Q04_each_message_has_the_operators_instruction(start_proxy: StartProxy) -> None:
    def shorter(text: str) -> str:
        return re.sub(r"(?m)^instruction = .*$", 'instruction = "Sé breve."', text)

    async with start_proxy(edit={"query": shorter}) as api:
        case = await allergic(api)
        await ask(api, case, "¿Alergias?")
        await ask(api, case, " ¿Y medicación?\n")
        first, second = sent(api)
    assert first.startswith("Sé breve.\n\n[")
    assert first.endswith("\n\nPregunta: ¿Alergias?")
    assert second == "Sé breve.\n\nPregunta: ¿Y medicación?"


async def test_query_Q04_nothing_is_said_of_an_ehr_that_never_came(api: Api) -> None:
    case = await unreported(api, case_form(conversation=ALLERGY))
    await ask(api, case, "¿Alergias?")
    assert passages(sent(api)[0]) == [f"[conversación] {ALLERGY}"]


async def test_query_Q04_characters_beyond_the_basic_plane_count_two(api: Api) -> None:
    emoji = " ".join(f"😀{number}😀😀😀😀😀😀" for number in range(3000))
    case = await unreported(api, files_form(("🩺.txt", emoji.encode(), "text/plain"), ehr="{}"))
    replies = [await ask(api, case, "😀" * length) for length in (1, 900, 2000)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    contents = sent(api)
    assert all(1 <= utf16_units(content) <= 2000 for content in contents)
    assert max(map(utf16_units, contents)) > 1700


# Q05: long questions.


async def test_query_Q05_a_long_question_goes_in_parts_and_the_last_answer_counts(api: Api) -> None:
    case = await allergic(api)
    question = f"{'Considera lo siguiente. ' * 330} ¿A qué es alérgica?"
    reply = await ask(api, case, question)
    contents = sent(api)
    pieces = [re.split(r"\nPregunta(?: \(continuación\))?: ", each, maxsplit=1)[1] for each in contents]
    assert len(contents) == 5
    assert "".join(pieces) == question
    assert all(1 <= utf16_units(content) <= 2000 for content in contents)
    [conversation] = api.sandbox.llamachat.conversations.values()
    assert reply.json == {"response": conversation.replies[-1]}


async def test_query_Q05_a_longer_question_is_400_and_no_message_is_sent(api: Api) -> None:
    case = await allergic(api)
    for question in ("Considera lo siguiente. " * 500, "😀" * 6000, "a" * 100_000):
        assert (await ask(api, case, question)).says(400, BAD)
    assert api.sandbox.llamachat.calls == []
    await ask(api, case, "¿Alergias?")
    calls = len(api.sandbox.llamachat.calls)
    assert (await ask(api, case, "Considera lo siguiente. " * 500)).says(400, BAD)
    assert len(api.sandbox.llamachat.calls) == calls


async def test_query_Q05_a_question_that_the_passages_make_too_long_costs_no_conversation(api: Api) -> None:
    """The question fits for a case without passages: only the search shows that it is too long here."""
    question = "p" * 9000
    long = await api.new_case(files_form(("a.pdf", long_pdf(20, {1: ALLERGY}), "application/pdf")))
    assert (await ask(api, long, question)).says(400, BAD)
    assert paths(api) == []
    assert (await ask(api, await unreported(api, case_form(ehr="{}")), question)).status == 200


async def test_query_Q04_the_conversation_is_begun_beside_the_search_for_passages(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def searching(*arguments: Any) -> Prompt:
        await until(lambda: CONVERSATIONS in paths(api))
        return await planned(*arguments)

    monkeypatch.setattr(flow, "planned", searching)
    assert (await ask(api, await allergic(api), "¿A qué es alérgica?")).json == {"response": ANSWER}


async def test_query_Q06_a_conversation_begun_beside_a_search_that_failed_is_the_next_questions(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> Prompt:
        raise WorkerCrashed("a search")

    case = await allergic(api)
    with monkeypatch.context() as patched:
        patched.setattr(flow, "planned", failing)
        assert (await ask(api, case, "¿A qué es alérgica?")).says(500, FAILED)
    assert (await ask(api, case, "¿A qué es alérgica?")).json == {"response": ANSWER}
    assert len(api.sandbox.llamachat.conversations) == 1


async def test_query_Q05_when_a_part_fails_the_rest_is_not_sent_and_no_passage_counts_as_sent(
    api: Api,
) -> None:
    case = await allergic(api)
    faults = api.sandbox.llamachat.faults
    faults.add(Fault(kind="delay", path_prefix=MESSAGES, times=2))  # the first two parts pass
    faults.add(Fault(kind="status", status=502, path_prefix=MESSAGES))
    assert (await ask(api, case, "Considera lo siguiente. " * 330)).says(500, FAILED)
    assert paths(api).count(f"{MESSAGES}{{id}}/messages") == 3
    assert (await ask(api, case, "¿A qué es alérgica?")).json == {"response": ANSWER}
    assert any(ALLERGY in passage for passage in passages(sent(api)[-1]))


# Q06: the conversation.


async def test_query_Q06_a_case_has_one_conversation_whatever_token_asks(api: Api) -> None:
    case = await allergic(api)
    again = await allergic(api)
    await ask(api, case, "¿Alergias?")
    await ask(api, {**case, "token": again["token"]}, "¿Y fiebre?")
    assert len(api.sandbox.llamachat.conversations) == 1
    await ask(api, again, "¿Alergias?")
    assert len(api.sandbox.llamachat.conversations) == 2


async def test_query_Q06_the_conversation_outlives_the_process(
    start_proxy: StartProxy, aiohttp_server: AiohttpServer
) -> None:
    """The store has the conversation's id and what was said in it."""
    chat, url = await gated_chat(aiohttp_server)
    chat.gate.set()
    async with start_proxy(MICHIQ_LLAMACHAT_URL=url) as api:
        case = await allergic(api)
        await ask(api, case, "¿Alergias?")
    async with start_proxy(MICHIQ_LLAMACHAT_URL=url) as api:
        await ask(api, case, "¿Alergias?")
    assert chat.conversations == 1
    assert [len(passages(content)) for content in chat.messages] == [2, 0]


async def test_query_Q06_ten_questions_at_once_are_asked_one_by_one_in_one_conversation(
    start_proxy: StartProxy, aiohttp_server: AiohttpServer
) -> None:
    chat, url = await gated_chat(aiohttp_server)
    async with start_proxy(MICHIQ_LLAMACHAT_URL=url) as api:
        case = await allergic(api)
        asking = [asyncio.create_task(ask(api, case, f"¿Pregunta {number}?")) for number in range(10)]
        async with asyncio.timeout(10):
            await chat.waiting.wait()
        # All ten have had the time to get as far as they may.
        await call(api, "GET", "/michiQ/encounters", case["token"])
        assert len(chat.messages) == 1
        chat.gate.set()
        replies = await asyncio.gather(*asking)
    assert sorted(reply.json["response"] for reply in replies) == sorted(
        f"respuesta {n}" for n in range(1, 11)
    )
    assert (chat.conversations, len(chat.messages), chat.most) == (1, 10, 1)
    told = [passage for content in chat.messages for passage in passages(content)]
    assert len(told) == len(set(told)) > 0


async def test_query_Q06_two_cases_do_not_wait_for_each_other(
    start_proxy: StartProxy, aiohttp_server: AiohttpServer
) -> None:
    chat, url = await gated_chat(aiohttp_server)
    async with start_proxy(MICHIQ_LLAMACHAT_URL=url) as api:
        cases = [await allergic(api) for _ in range(2)]
        asking = [asyncio.create_task(ask(api, case, "¿Alergias?")) for case in cases]
        async with asyncio.timeout(10):
            while len(chat.messages) < 2:
                chat.waiting.clear()
                await chat.waiting.wait()
        chat.gate.set()
        assert [reply.status for reply in await asyncio.gather(*asking)] == [200, 200]


async def test_query_Q06_a_question_whose_client_gave_up_still_keeps_the_next_one_waiting(
    start_proxy: StartProxy, aiohttp_server: AiohttpServer
) -> None:
    """The route's time is over before LlamaChat answers; its answer is awaited before anything is asked."""

    def hurried(text: str) -> str:
        return text.replace('timeout = "90 s"', 'timeout = "400 ms"')

    chat, url = await gated_chat(aiohttp_server)
    async with start_proxy({"query": hurried}, MICHIQ_LLAMACHAT_URL=url) as api:
        case = await allergic(api)
        first, second = await ask(api, case, "¿Uno?"), await ask(api, case, "¿Dos?")
        assert first.says(500, FAILED)
        assert second.says(500, FAILED)
        assert first.headers["X-Michiq-Cause"] == "out-of-time"
        assert len(chat.messages) == 1
        chat.gate.set()
        third = await ask(api, case, "¿Tres?")
    assert third.json == {"response": "respuesta 2"}
    assert chat.most == 1
    assert [len(passages(content)) for content in chat.messages] == [2, 0]
    assert "¿Tres?" in chat.messages[1]


async def test_query_Q06_a_conversation_that_llamachat_lost_is_begun_anew_with_all_passages(api: Api) -> None:
    case = await allergic(api)
    await ask(api, case, "¿Alergias?")
    api.sandbox.llamachat.conversations.clear()
    reply = await ask(api, case, "¿A qué es alérgica?")
    message = f"{MESSAGES}{{id}}/messages"
    assert reply.json == {"response": ANSWER}
    assert paths(api) == [CONVERSATIONS, message, message, CONVERSATIONS, message]
    assert any(ALLERGY in passage for passage in passages(sent(api)[-1]))
    await ask(api, case, "¿Y fiebre?")
    assert len(api.sandbox.llamachat.conversations) == 1


async def test_query_Q06_it_is_begun_anew_once_for_a_question(api: Api) -> None:
    case = await allergic(api)
    await ask(api, case, "¿Alergias?")
    api.sandbox.llamachat.calls.clear()
    api.sandbox.llamachat.faults.add(Fault(kind="status", status=404, path_prefix=MESSAGES, times=2))
    message = f"{MESSAGES}{{id}}/messages"
    assert (await ask(api, case, "¿Alergias?")).says(500, FAILED)
    assert paths(api) == [message, CONVERSATIONS, message]
    assert (await ask(api, case, "¿A qué es alérgica?")).json == {"response": ANSWER}


async def test_query_Q06_a_conversation_that_is_lost_halfway_through_a_long_question_gets_all_of_it(
    api: Api,
) -> None:
    case = await allergic(api)
    await ask(api, case, "¿Alergias?")
    faults = api.sandbox.llamachat.faults
    faults.add(Fault(kind="delay", path_prefix=MESSAGES))  # the first part passes
    faults.add(Fault(kind="status", status=404, path_prefix=MESSAGES))
    question = f"{'Considera lo siguiente. ' * 200}¿A qué es alérgica?"
    assert (await ask(api, case, question)).status == 200
    newest = list(api.sandbox.llamachat.conversations.values())[-1]
    pieces = [
        re.split(r"\nPregunta(?: \(continuación\))?: ", each, maxsplit=1)[1] for each in newest.messages
    ]
    assert "".join(pieces) == question


async def test_query_Q06_the_conversations_id_is_in_no_answer_and_no_header(api: Api) -> None:
    case = await allergic(api)
    replies = [await ask(api, case, "¿Alergias?")]
    api.sandbox.llamachat.faults.add(Fault(kind="status", status=502))
    replies.append(await ask(api, case, "¿Alergias?"))
    for path in (
        f"/michiQ/doc/{case['michiq_uuid']}",
        "/michiQ/encounters",
        f"/app/encounter/{case['michiq_uuid']}",
    ):
        replies.append(await call(api, "GET", path, case["token"]))
    [conversation] = api.sandbox.llamachat.conversations
    seen = [json.dumps([reply.text, dict(reply.headers)]) for reply in replies]
    assert [text for text in seen if conversation in text] == []
