"""The promises of one process, held by two on one store, whichever of them a request reaches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_aiohttp import AiohttpServer

from proxy.sandbox import Fault
from tests.beside import Office, site, two_proxies
from tests.conftest import Api, case_form
from tests.flows._client import created, digest, heard, patient, transcriptions, until
from tests.flows._wire import form, new_case, part, talk
from tests.flows.gated_chat import gated_chat
from tests.flows.reading import allergic, ask
from tests.samples import wav

FORM = form(part("ehr", '{"id": "p-1", "name": "Ana"}'), part("conversation", "Hola."))
KEY = "Idempotency-Key: visita-1"


@asynccontextmanager
async def both(folder: Path, **environ: str) -> AsyncIterator[tuple[Api, Api]]:
    async with two_proxies(folder, Office(), **environ) as (one, other):
        yield one, other


async def test_key_N17_of_requests_to_two_processes_at_once_makes_one_case(tmp_path: Path) -> None:
    async with both(tmp_path) as apis:
        apis[0].sandbox.llamalitica.faults.add(Fault(kind="delay", method="POST", delay=0.3))
        asked = (talk(apis[number % 2].url, new_case(FORM, KEY)) for number in range(6))
        replies = await asyncio.gather(*asked)
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == 1
        assert len(created(apis[0])) == 1


async def test_query_Q06_questions_to_two_processes_are_asked_one_by_one_in_one_conversation(
    tmp_path: Path, aiohttp_server: AiohttpServer
) -> None:
    chat, url = await gated_chat(aiohttp_server)
    async with both(tmp_path, MICHIQ_LLAMACHAT_URL=url) as apis:
        case = await allergic(apis[0])
        asking = [asyncio.create_task(ask(apis[n % 2], case, f"¿Pregunta {n}?")) for n in range(6)]
        async with asyncio.timeout(10):
            await chat.waiting.wait()
        # All of them have had the time to get as far as they may.
        for api in apis:
            await api.new_case(case_form())
        assert len(chat.messages) == 1
        chat.gate.set()
        assert {reply.status for reply in await asyncio.gather(*asking)} == {200}
    assert (chat.conversations, len(chat.messages), chat.most) == (1, 6, 1)


async def test_speech_S04_calls_to_two_processes_at_once_make_one_transcription(tmp_path: Path) -> None:
    async with both(tmp_path) as (one, other):
        case = await patient(one)
        await case.uploaded(wav(0.1))
        one.sandbox.llamachat.faults.add(Fault(kind="delay", delay=0.3, path_prefix="/api/transcription"))
        answers = await asyncio.gather(*(replace(case, api=api).transcribed() for api in (one, other, other)))
        assert all(answer == answers[0] for answer in answers)
        assert len(transcriptions(one)) == 1


async def test_upload_U04_chunks_that_two_processes_get_are_kept_in_the_order_in_which_they_came(
    tmp_path: Path,
) -> None:
    """The first request takes longest: its token must be renewed."""
    pieces = [b"\x1a\x45\xdf\xa3" + bytes(1000), *(bytes([fill]) * 1000 for fill in range(1, 5))]
    office = Office()
    async with two_proxies(tmp_path, office) as apis:
        case = await patient(apis[0])
        apis[0].clock.ahead = timedelta(hours=2)
        apis[0].sandbox.llamalitica.faults.add(Fault(kind="delay", delay=0.5, path_prefix="/api/users/me"))
        uploads = []
        for number, piece in enumerate(pieces):
            uploads.append(asyncio.create_task(replace(case, api=apis[number % 2]).upload(piece)))
            await until(lambda asked=number + 1: asks(office) == asked)  # type: ignore[misc]
        assert [reply.status for reply in await asyncio.gather(*uploads)] == [200] * len(pieces)
        await case.transcribed()
        assert heard(apis[0]) == [digest(*pieces)]


async def test_case_N17_is_shown_by_the_process_beside_the_one_that_left_it_in_the_air(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, Office(), MICHIQ_DRAIN_SECONDS="0") as place, place.worker("one") as one:
        async with place.worker("other") as other:
            place.sandbox.llamalitica.faults.add(Fault(kind="delay", method="POST", delay=60))
            asked = asyncio.create_task(talk(other.url, new_case(FORM, KEY)))
            await until(lambda: created(one))
            assert await taken_over(one) == []
        with pytest.raises(OSError):  # noqa: PT011  the connection ends without an answer
            await asked
        assert await taken_over(one) == [("ambiguous", "interrupted")]
        assert (await talk(one.url, new_case(FORM, KEY))).header("X-Michiq-Cause") == "outcome-unknown"


async def taken_over(api: Api) -> list[tuple[str, str | None]]:
    """Returns the pending cases, once the process knows that another one has ended."""
    api.proxy.take_over_soon()
    await api.proxy.deps.tasks.drain(10)
    return [(entry.state, entry.cause) for entry in await api.proxy.deps.store.journal.pending()]


def asks(office: Office) -> int:
    """Counts the requests that wait, or waited, in the first queue."""
    keys = [message["key"] for message in office.said if "key" in message]
    return keys.count(keys[0]) if keys else 0
