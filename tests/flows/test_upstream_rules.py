"""The rules of every call to the new systems, seen through the legacy routes (CONTRACT X, G08)."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from proxy.sandbox import Fault
from proxy.sandbox.faults import Kind
from proxy.sandbox.service import Service
from tests.captured import captured_log
from tests.cli.test_processes import command
from tests.conftest import IDENTITY, Api, StartProxy, case_form
from tests.flows._client import Patient, Reply, calls, digest, parts, patient
from tests.samples import wav

Ask = Callable[[Api], Awaitable[Reply]]


async def new_case(api: Api) -> Reply:
    async with api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers=IDENTITY) as response:
        return Reply(response.status, response.headers, await response.read())


async def query(api: Api) -> Reply:
    case = await without_faults(api)
    return await case.call("POST", "/michiQ/query/{id}", json={"query": "¿Qué dice?"})


async def transcribe(api: Api) -> Reply:
    case = await without_faults(api)
    await case.uploaded(wav(0.1))
    return await case.transcribe()


async def without_faults(api: Api) -> Patient:
    """A case made while nothing goes wrong; what shall go wrong is put back then."""
    pending = api.sandbox.llamalitica.faults.pending
    api.sandbox.llamalitica.faults.clear()
    case = await patient(api)
    for fault in pending:
        api.sandbox.llamalitica.faults.add(fault)
    return case


# Every call that a route waits for: the route, whose call, its path, the route's own 500.
CALLS: Final[list[tuple[Ask, str, str, str]]] = [
    (new_case, "llamalitica", "/api/users/me", "Error al guardar el documento"),
    (new_case, "llamalitica", "/api/cases", "Error al guardar el documento"),
    (query, "llamachat", "/api/conversations", "Error al generar la respuesta"),
    (query, "llamachat", "/api/conversations/", "Error al generar la respuesta"),
    (transcribe, "llamachat", "/api/transcription", "Error al transcribir el audio"),
]
BAD_ANSWERS: Final[dict[Kind, str]] = {
    "html": "garbage",
    "broken_json": "garbage",
    "wrong_content_type": "garbage",
    "oversized": "oversized",
    "truncated": "cut",
    "cut_before_body": "cut",
    "cut_after_body": "cut",
    "redirect": "redirect",
}


def service(api: Api, name: str) -> Service:
    return api.sandbox.llamalitica if name == "llamalitica" else api.sandbox.llamachat


@pytest.mark.parametrize(("ask", "upstream", "path", "text"), CALLS)
async def test_upstream_X03_G08_an_answer_that_is_not_whole_json_is_the_routes_500(
    api: Api, ask: Ask, upstream: str, path: str, text: str
) -> None:
    for kind, cause in BAD_ANSWERS.items():
        # A GET that is cut is asked for once more by the HTTP library.
        times = 2 if path == "/api/users/me" and cause == "cut" else 1
        service(api, upstream).faults.add(Fault(kind=kind, path_prefix=path, times=times))
        reply = await ask(api)
        assert (reply.status, reply.text) == (500, text), kind
        assert reply.headers["X-Michiq-Cause"] == f"{upstream}-{cause}", kind
        service(api, upstream).faults.clear()


@pytest.mark.parametrize(("ask", "upstream", "path", "text"), CALLS)
async def test_upstream_X03_no_redirect_is_followed(
    api: Api, ask: Ask, upstream: str, path: str, text: str
) -> None:
    elsewhere = f"{api.sandbox.michiq.url}{path}"
    for status in (301, 302, 303, 307, 308):
        fault = Fault(kind="redirect", status=status, location=elsewhere, path_prefix=path)
        service(api, upstream).faults.add(fault)
        reply = await ask(api)
        assert (reply.status, reply.text) == (500, text), status
        assert api.sandbox.michiq.calls == [], status


async def test_upstream_X03_no_proxy_of_the_environment_is_called(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, api.sandbox.michiq.url)
    assert (await new_case(api)).status == 200
    assert api.sandbox.michiq.calls == []


@asynccontextmanager
async def cookie_server(seen: list[bytes]) -> AsyncIterator[str]:
    """A LlamaChat that sets a cookie with every answer; `seen` gets the headers of each call."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        seen.append(head)
        body = b'{"id": "64f1a2b3c4d5e6f7a8b9c0d1", "role": "assistant", "content": "Nada."}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: user=ana; Path=/\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_upstream_X03_no_cookie_is_kept(start_proxy: StartProxy) -> None:
    seen: list[bytes] = []
    async with cookie_server(seen) as url, start_proxy(MICHIQ_LLAMACHAT_URL=url) as api:
        for _ in range(2):
            reply = await query(api)
            assert (reply.status, reply.json) == (200, {"response": "Nada."})
            assert "Set-Cookie" not in reply.headers
    assert len(seen) == 4
    assert not any(b"cookie" in head.lower() for head in seen)


async def test_upstream_X03_G10_no_bad_answer_is_quoted_in_the_log(api: Api) -> None:
    with captured_log() as log:
        for kind in BAD_ANSWERS:
            api.sandbox.llamachat.faults.add(Fault(kind=kind, path_prefix="/api/transcription"))
            await transcribe(api)
    assert "llamachat-garbage" in log.getvalue()
    for secret in [
        "simulada",
        "Bad gateway",
        "elsewhere.invalid",
        "sandbox-chat-key",
        api.sandbox.llamachat.url,
    ]:
        assert secret not in log.getvalue(), secret


async def test_upstream_X02_llamachat_is_called_as_documented(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), filename="visita.wav")
    await case.transcribed()
    await case.call("POST", "/michiQ/query/{id}", json={"query": "¿Qué dice?"})
    (conversation,) = api.sandbox.llamachat.conversations
    transcription, started, sent = api.sandbox.llamachat.calls
    assert [(call.method, call.path) for call in (transcription, started, sent)] == [
        ("POST", "/api/transcription"),
        ("POST", "/api/conversations"),
        ("POST", f"/api/conversations/{conversation}/messages"),
    ]
    for call in (transcription, started, sent):
        assert (call.header("X-Api-Key"), call.status) == (b"sandbox-chat-key", 200)
    assert sent.header("Content-Type") == b"application/json"
    (audio,) = parts(transcription)
    assert (audio["name"], audio["filename"], audio["sha256"]) == ("audio", "visita.wav", digest(wav(0.1)))


async def test_upstream_X02_a_documented_error_of_llamachat_is_the_routes_500(api: Api) -> None:
    for ask, path, text in [
        (query, "/api/conversations", "Error al generar la respuesta"),
        (transcribe, "/api/transcription", "Error al transcribir el audio"),
    ]:
        for status in (400, 401, 404, 502):
            api.sandbox.llamachat.faults.add(Fault(kind="status", status=status, path_prefix=path))
            reply = await ask(api)
            assert (reply.status, reply.text) == (500, text)
            assert reply.headers["X-Michiq-Cause"] == f"llamachat-{status}"


async def test_upstream_X02_no_identity_of_the_user_reaches_llamachat(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    await case.transcribed()
    await case.call("POST", "/michiQ/query/{id}", json={"query": "¿Qué dice?"})
    for call in api.sandbox.llamachat.calls:
        sent = b"\n".join(value for _, value in call.headers)
        for secret in [b"sandbox-api-key", b"ana@clinica", "Clínica".encode(), case.token.encode()]:
            assert secret not in sent, call.path


async def test_upstream_X01_calls_go_to_the_api_and_pages_to_the_web_host(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_LLAMALITICA_WEB_URL="http://localhost:1") as api:
        case = await patient(api)
        addresses = (await case.page()).json["urls"].values()
        assert {urlsplit(address).netloc for address in addresses} == {"localhost:1"}
        assert len(calls(api, "/api/cases")) == 1


@pytest.mark.parametrize(
    ("api_url", "web_url"),
    [
        ("https://api.llamalitica.com", "https://private.llamalitica.com"),
        ("https://api.llamalitica.com", "http://127.0.0.1:1"),
    ],
)
async def test_upstream_X01_hosts_that_are_no_pair_are_not_served(
    tmp_path: Path, secret_key: str, api_url: str, web_url: str
) -> None:
    settings = {"MICHIQ_LLAMALITICA_API_URL": api_url, "MICHIQ_LLAMALITICA_WEB_URL": web_url}
    async with command(tmp_path, "serve", MICHIQ_SECRET_KEYS=secret_key, **settings) as process:
        assert await process.wait() == 2
