"""LlamaChat: keys, conversations, messages and transcription."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, FormData

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from tests.sandbox.conftest import CHAT_KEY, OTHER_CHAT_KEY

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
MIB = 1024 * 1024


async def post(
    sandbox: Sandbox, http: ClientSession, path: str, *, key: str | None = CHAT_KEY, **sent: Any
) -> tuple[int, Any]:
    headers = {} if key is None else {"X-Api-Key": key}
    headers |= sent.pop("headers", {})
    async with http.post(f"{sandbox.llamachat.url}{path}", headers=headers, **sent) as answer:
        return answer.status, await answer.json()


async def started(sandbox: Sandbox, http: ClientSession) -> str:
    return str((await post(sandbox, http, "/api/conversations"))[1]["id"])


async def said(sandbox: Sandbox, http: ClientSession, conversation: str, content: Any) -> tuple[int, Any]:
    path = f"/api/conversations/{conversation}/messages"
    return await post(sandbox, http, path, json={"content": content})


def audio(data: Any, name: str = "audio", filename: str | None = "a.wav") -> FormData:
    made = FormData(default_to_multipart=True)
    made.add_field(name, data, filename=filename, content_type="audio/wav")
    return made


async def test_a_conversation_gets_a_24_digit_hexadecimal_id(sandbox: Sandbox, http: ClientSession) -> None:
    status, body = await post(sandbox, http, "/api/conversations")
    assert status == 200
    assert body == {"id": body["id"], "title": "New Conversation"}
    assert len(bytes.fromhex(body["id"])) == 12


@pytest.mark.parametrize("key", [None, "", "another"])
@pytest.mark.parametrize(
    "path", ["/api/conversations", "/api/conversations/x/messages", "/api/transcription"]
)
async def test_a_call_without_a_known_key_is_refused(
    sandbox: Sandbox, http: ClientSession, path: str, key: str | None
) -> None:
    status, body = await post(sandbox, http, path, key=key)
    assert (status, body.keys()) == (401, {"error"})


async def test_a_message_is_answered_from_all_that_was_said(sandbox: Sandbox, http: ClientSession) -> None:
    conversation = await started(sandbox, http)
    await said(
        sandbox, http, conversation, "El paciente toma enalapril. Es alérgico a la penicilina.\nDi sí."
    )
    assert await said(sandbox, http, conversation, "¿Qué alergias tiene?") == (
        200,
        {"role": "assistant", "content": "Es alérgico a la penicilina."},
    )


@pytest.mark.parametrize(
    "content",
    ["a", "ñ" * 2000, "😀" * 1000],
    ids=["one character", "2000 characters", "1000 of two UTF-16 units each"],
)
async def test_a_message_of_1_to_2000_characters_is_accepted(
    sandbox: Sandbox, http: ClientSession, content: str
) -> None:
    assert (await said(sandbox, http, await started(sandbox, http), content))[0] == 200


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("  \n", id="blank"),
        pytest.param("ñ" * 2001, id="2001 characters"),
        pytest.param("😀" * 1000 + "a", id="2001 UTF-16 units"),
        pytest.param(None, id="null"),
        pytest.param(7, id="a number"),
    ],
)
async def test_content_that_is_not_as_documented_is_refused(
    sandbox: Sandbox, http: ClientSession, content: Any
) -> None:
    status, body = await said(sandbox, http, await started(sandbox, http), content)
    assert (status, body.keys()) == (400, {"error"})


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"data": b'{"content": "a"'}, id="broken JSON"),
        pytest.param({"data": b'["a"]'}, id="not an object"),
        pytest.param({"data": b"{}"}, id="no content"),
        pytest.param({"data": b'{"content": "a", "role": "user"}'}, id="a key too many"),
        pytest.param({"data": b'{"content": "a"}', "headers": {"Content-Type": "text/plain"}}, id="not JSON"),
    ],
)
async def test_a_message_body_that_is_not_as_documented_is_refused(
    sandbox: Sandbox, http: ClientSession, sent: dict[str, Any]
) -> None:
    path = f"/api/conversations/{await started(sandbox, http)}/messages"
    headers = {"Content-Type": "application/json"} | sent.pop("headers", {})
    assert (await post(sandbox, http, path, headers=headers, **sent))[0] == 400


async def test_an_unknown_conversation_is_not_found(sandbox: Sandbox, http: ClientSession) -> None:
    status, body = await said(sandbox, http, "0" * 24, "Hola")
    assert (status, body) == (404, {"error": "Conversation not found"})


async def test_a_conversation_of_another_consumer_is_not_found(sandbox: Sandbox, http: ClientSession) -> None:
    path = f"/api/conversations/{await started(sandbox, http)}/messages"
    assert (await post(sandbox, http, path, key=OTHER_CHAT_KEY, json={"content": "Hola"}))[0] == 404


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(WAV, id="wav"),
        pytest.param(b"ID3\x04", id="mp3 with a tag"),
        pytest.param(b"\xff\xfb\x90\x00", id="mp3"),
        pytest.param(b"OggS\x00\x02", id="ogg"),
        pytest.param(b"\x1aE\xdf\xa3", id="webm"),
        pytest.param(b"\x00\x00\x00\x20ftypM4A ", id="m4a"),
        pytest.param(b"fLaC\x00", id="flac"),
    ],
)
async def test_audio_of_every_documented_format_is_transcribed(
    sandbox: Sandbox, http: ClientSession, head: bytes
) -> None:
    digest = hashlib.sha256(head).hexdigest()
    assert await post(sandbox, http, "/api/transcription", data=audio(head)) == (
        200,
        {"text": f"Transcripción simulada del audio {digest[:8]}."},
    )


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda: audio(b"%PDF-1.7"), id="another format"),
        pytest.param(lambda: audio(b""), id="an empty file"),
        pytest.param(lambda: audio(WAV, name="file"), id="another field"),
        pytest.param(lambda: audio("RIFF....WAVE", filename=None), id="no filename"),
        pytest.param(lambda: {"audio": "text"}, id="not multipart"),
        pytest.param(lambda: b"", id="no body"),
    ],
)
async def test_audio_that_is_not_as_documented_is_refused(
    sandbox: Sandbox, http: ClientSession, form: Any
) -> None:
    status, body = await post(sandbox, http, "/api/transcription", data=form())
    assert (status, body.keys()) == (400, {"error"})


async def test_two_audio_files_are_refused(sandbox: Sandbox, http: ClientSession) -> None:
    form = audio(WAV)
    form.add_field("audio", WAV, filename="b.wav")
    assert (await post(sandbox, http, "/api/transcription", data=form))[0] == 400


async def sized(size: int) -> AsyncIterator[bytes]:
    yield WAV
    left = size - len(WAV)
    while left:
        piece = bytes(min(left, MIB))
        left -= len(piece)
        yield piece


@pytest.mark.parametrize(("size", "status"), [(100 * MIB, 200), (100 * MIB + 1, 413)])
async def test_audio_of_up_to_100_mb_is_transcribed_as_it_streams_in(
    sandbox: Sandbox, http: ClientSession, size: int, status: int
) -> None:
    assert (await post(sandbox, http, "/api/transcription", data=audio(sized(size))))[0] == status
    noted: Any = sandbox.llamachat.calls[0].facts["parts"]
    assert [part["size"] for part in noted] == [size]


async def test_audio_far_over_100_mb_is_refused_before_it_has_all_arrived(
    sandbox: Sandbox, http: ClientSession
) -> None:
    assert (await post(sandbox, http, "/api/transcription", data=audio(sized(101 * MIB))))[0] == 413
    assert "parts" not in sandbox.llamachat.calls[0].facts


async def test_a_known_audio_gives_its_text(http: ClientSession) -> None:
    config = SandboxConfig(transcripts={hashlib.sha256(WAV).hexdigest(): "Hola, ¿cómo estás?"})
    key = config.chat_keys["michiq-proxy"]
    async with run_sandbox(config) as sandbox:
        answer = await post(sandbox, http, "/api/transcription", key=key, data=audio(WAV))
    assert answer == (200, {"text": "Hola, ¿cómo estás?"})


async def test_calls_are_recorded_with_consumer_and_content(sandbox: Sandbox, http: ClientSession) -> None:
    conversation = await started(sandbox, http)
    await said(sandbox, http, conversation, "Hola")
    call = sandbox.llamachat.calls[-1]
    assert (call.method, call.path) == ("POST", f"/api/conversations/{conversation}/messages")
    assert (call.facts, call.status) == ({"consumer": "proxy", "content": "Hola"}, 200)
