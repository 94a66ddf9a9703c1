"""The client of LlamaChat: conversations, messages and transcriptions as its document has them."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from multipart import MultipartParser

from proxy.errors import UpstreamError
from proxy.headers import media_type
from proxy.spool import Bytes
from proxy.upstream import open_upstreams
from proxy.upstream.llamachat import LlamaChat
from proxy.values import Json
from tests.upstream.wire import Repeated, answer, answering, fixed, ignore

KEY = "consumer-key"
STARTED: Json = {"id": "64f1a2b3c4d5e6f7a8b9c0d1", "title": "New Conversation"}
REPLY: Json = {"role": "assistant", "content": "París 🗼"}
TEXT: Json = {"text": "Hola, ¿cómo estás?"}


def said(value: Json) -> bytes:
    return answer(json.dumps(value).encode())


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[LlamaChat]:
    async with open_upstreams(
        llamalitica_url=url, llamachat_url=url, legacy_url=None, randomness=fixed, on_call=ignore
    ) as upstreams:
        assert upstreams.llamachat is not None
        yield upstreams.llamachat


async def test_start_X02_makes_a_conversation_without_a_body() -> None:
    async with answering(said(STARTED)) as wire, client_of(wire.url) as chat:
        assert await chat.start(KEY) == "64f1a2b3c4d5e6f7a8b9c0d1"
        (request,) = wire.requests
    assert request.line == b"POST /api/conversations HTTP/1.1"
    assert request.header(b"X-Api-Key") == KEY.encode()
    assert request.header(b"Content-Type") is None
    assert request.body == b""


async def test_send_X02_posts_the_content_as_json_and_gives_the_reply() -> None:
    async with answering(said(REPLY)) as wire, client_of(wire.url) as chat:
        assert await chat.send(KEY, "64f1a2b3c4d5e6f7a8b9c0d1", '¿"Capital"?\n🗺') == "París 🗼"
        (request,) = wire.requests
    assert request.line == b"POST /api/conversations/64f1a2b3c4d5e6f7a8b9c0d1/messages HTTP/1.1"
    assert request.header(b"X-Api-Key") == KEY.encode()
    assert request.header(b"Content-Type") == b"application/json"
    assert json.loads(request.body) == {"content": '¿"Capital"?\n🗺'}


@pytest.mark.parametrize("content", [Bytes(b"RIFF\x00WAVE"), Repeated(40)], ids=["small", "in pieces"])
async def test_transcribe_X02_posts_the_audio_and_gives_its_text(content: Bytes | Repeated) -> None:
    async with answering(said(TEXT)) as wire, client_of(wire.url) as chat:
        assert await chat.transcribe(KEY, "visita ñ.wav", "audio/wav", content) == "Hola, ¿cómo estás?"
        (request,) = wire.requests
    assert request.line == b"POST /api/transcription HTTP/1.1"
    assert request.header(b"X-Api-Key") == KEY.encode()
    _, parameters = media_type((request.header(b"Content-Type") or b"").decode())
    (part,) = MultipartParser(io.BytesIO(request.body), parameters["boundary"], strict=True)
    assert (part.name, part.filename, part.content_type) == ("audio", "visita ñ.wav", "audio/wav")
    assert part.raw == b"".join([chunk async for chunk in content.chunks()])
    part.close()


async def test_transcribe_S03_an_empty_text_is_a_text() -> None:
    async with answering(said({"text": ""})) as wire, client_of(wire.url) as chat:
        assert await chat.transcribe(KEY, "a.wav", "audio/wav", Bytes(b"a")) == ""


@pytest.mark.parametrize("value", [[], {}, {"id": ""}, {"id": "../a"}, {"id": 7}, {"id": None}])
async def test_start_G03_X02_another_shape_is_garbage(value: Json) -> None:
    async with answering(said(value)) as wire, client_of(wire.url) as chat:
        with pytest.raises(UpstreamError, match=r"^upstream_failed \(llamachat-garbage\)$"):
            await chat.start(KEY)


@pytest.mark.parametrize("value", [{"role": "assistant"}, {"content": None}, {"content": ["a"]}, "a"])
async def test_send_X02_another_shape_is_garbage(value: Json) -> None:
    async with answering(said(value)) as wire, client_of(wire.url) as chat:
        with pytest.raises(UpstreamError, match=r"^upstream_failed \(llamachat-garbage\)$"):
            await chat.send(KEY, "a1", "hola")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", "upstream_refused"),
        ("401 Unauthorized", "upstream_unauthorized"),
        ("404 Not Found", "upstream_refused"),
        ("502 Bad Gateway", "upstream_failed"),
    ],
)
async def test_send_X02_a_documented_error_keeps_its_status(status: str, kind: str) -> None:
    refusal = answer(b'{"error": "Conversation of Juan Perez not found."}', status)
    async with answering(refusal) as wire, client_of(wire.url) as chat:
        with pytest.raises(UpstreamError) as caught:
            await chat.send(KEY, "a1", "hola")
    assert (caught.value.kind, caught.value.status) == (kind, int(status[:3]))
    assert "Juan" not in str(caught.value)
