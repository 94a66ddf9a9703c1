"""Nothing of a patient, a file name, a token or a key leaves by the log or by an error's answer."""

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any, Final

import aiohttp
import pytest
from yarl import URL

from proxy.sandbox import Fault
from tests import samples
from tests.captured import captured_log
from tests.conftest import API_KEY, IDENTITY, Api, bearer, case_form

# Made up, and nowhere else: whatever shows one of them has leaked it.
NAME: Final = "Zacarías Quirogamuñoz"
FILE: Final = "informe-quirogamuñoz.pdf"
SAID: Final = "tuvo una xenofrosis aguda"
ASKED: Final = "cuándo fue la xenofrosis"
WRONG_KEY: Final = "wrong-key-5d41402abc4b2a76"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with captured_log() as stream:
        yield stream


def secrets_of(made: dict[str, Any]) -> list[str]:
    identity = [API_KEY, IDENTITY["user_mail"], IDENTITY["organization"], WRONG_KEY]
    return [NAME, FILE, "xenofrosis", made["token"], made["michiq_uuid"], *identity]


async def session(api: Api) -> dict[str, Any]:
    """Calls on every route, good ones and bad ones, with the made-up patient in each."""
    form = case_form(ehr=json.dumps({"nhc": "q-1", "name": NAME}), conversation=SAID)
    form.add_field("files", samples.pdf([SAID]), filename=FILE, content_type="application/pdf")
    made = await api.new_case(form)
    legacy_id, headers = made["michiq_uuid"], bearer(made["token"])
    audio = aiohttp.FormData()
    audio.add_field("audioChunk", samples.wav(1), filename=f"{NAME}.wav")
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"/michiQ/uploadAudio/{legacy_id}", {"data": audio}),
        ("POST", f"/michiQ/speechToText/{legacy_id}", {"json": {"audioFile": f"{NAME}.wav"}}),
        ("POST", f"/michiQ/query/{legacy_id}", {"json": {"query": ASKED}}),
        ("POST", f"/michiQ/query/{legacy_id}", {"data": f'{{"query": "{ASKED}"'}),
        ("GET", f"/michiQ/doc/{legacy_id}", {}),
        ("GET", "/michiQ/encounters", {}),
        ("GET", f"/app/encounter/{legacy_id}", {}),
        ("DELETE", f"/michiQ/doc/{legacy_id}", {}),
        ("GET", f"/michiQ/doc/{NAME}", {}),
        ("GET", f"/{NAME}?q={made['token']}", {}),
        ("POST", "/webhooks/llamalitica", {"json": {"event": NAME}}),
    ]
    for method, path, more in calls:
        async with api.http.request(method, URL(api.url + path), headers=headers, **more) as response:
            await response.read()
    return made


async def test_log_G10_a_whole_session_leaves_nothing_of_the_patient_in_the_log(
    log: io.StringIO, api: Api
) -> None:
    made = await session(api)
    text = log.getvalue()
    assert [secret for secret in secrets_of(made) if secret in text] == []
    assert text.count('"event":"request"') >= 12, "the session was not logged at all"


async def test_log_G10_failing_upstreams_leave_nothing_of_the_patient_in_the_log(
    log: io.StringIO, api: Api
) -> None:
    made = await api.new_case(case_form(ehr=json.dumps({"nhc": "q-1", "name": NAME}), conversation=SAID))
    headers = bearer(made["token"])
    for kind in ("status", "html", "broken_json", "truncated", "oversized", "cut_after_body", "redirect"):
        api.sandbox.llamachat.faults.add(Fault(kind=kind))
        url = f"{api.url}/michiQ/query/{made['michiq_uuid']}"
        async with api.http.post(url, json={"query": ASKED}, headers=headers) as response:
            answer = await response.text()
        assert (response.status, answer) == (500, "Error al generar la respuesta"), kind
    text = log.getvalue()
    assert [secret for secret in secrets_of(made) if secret in text] == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /michiQ/newCase HTTP/1.1\r\nHost: x\r\nAPI_KEY: %s\x00\r\n\r\n",
        b"POST /michiQ/newCase HTTP/1.1\r\nHost: x\r\nAPI_KEY: %s" + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /michiQ/doc/%s\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"%s\r\n\r\n",
        b"POST /michiQ/newCase HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n",
        b"POST /michiQ/newCase HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: %s\r\n\r\n",
    ],
    ids=[
        "NUL in a header",
        "header too long",
        "control sign in the path",
        "no HTTP",
        "bad length",
        "two lengths",
    ],
)
async def test_log_G10_a_request_that_is_no_http_is_quoted_neither_in_the_answer_nor_in_the_log(
    log: io.StringIO, api: Api, request_bytes: bytes
) -> None:
    address = URL(api.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request_bytes.replace(b"%s", WRONG_KEY.encode()))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.split(b" ")[1] == b"400", answer
    assert WRONG_KEY.encode() not in answer
    assert WRONG_KEY not in log.getvalue()


async def test_log_G10_the_access_line_tells_callers_apart_by_hashes(log: io.StringIO, api: Api) -> None:
    for mail in ("ana@clinica.example", "eva@clinica.example", "ana@clinica.example"):
        await api.new_case(user_mail=mail)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    requests = [line for line in lines if line["event"] == "request" and line["route"] == "/michiQ/newCase"]
    users = [line["user"] for line in requests]
    assert (users[0] == users[2], users[0] == users[1]) == (True, False)
    assert len({line["organization"] for line in requests}) == 1
    assert {"status", "bytes_in", "bytes_out", "ms", "request_id"} <= requests[0].keys()
