"""The legacy server's audio routes: chunks, recordings and their transcription."""

import hashlib
import json
from typing import Any

import pytest
from aiohttp import ClientSession, FormData

from proxy.sandbox import Sandbox
from tests import samples
from tests.sandbox.michiq_client import Client, Told

BAD_TOKEN = "Authorization token missing or invalid"
TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def anyone(sandbox: Sandbox, http: ClientSession) -> Client:
    return Client(http, sandbox.michiq.url)


def chunk(data: bytes | str, name: str = "audioChunk", filename: str | None = "a.webm") -> FormData:
    made = FormData(default_to_multipart=True)
    made.add_field(name, data, filename=filename, content_type="audio/webm")
    return made


async def upload(client: Client, legacy_id: str, data: bytes, filename: str = "a.webm") -> Told:
    return await client.ask("POST", f"/michiQ/uploadAudio/{legacy_id}", data=chunk(data, filename=filename))


async def transcribed(client: Client, legacy_id: str, **sent: Any) -> Any:
    return await client.json("POST", f"/michiQ/speechToText/{legacy_id}", **sent)


def said(*recordings: bytes) -> str:
    digests = (hashlib.sha256(recording).hexdigest() for recording in recordings)
    return "\n".join(f"Transcripción simulada del audio {digest[:8]}." for digest in digests)


async def test_an_upload_is_answered_with_the_documented_text(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    answer = await upload(client, case_id, samples.wav(1))
    assert answer == Told(200, TEXT, f"Archivo subido exitosamente con UUID: {case_id}", {""})


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda: chunk(b""), id="an empty file"),
        pytest.param(lambda: chunk(b"x", name="audio"), id="another field"),
        pytest.param(lambda: chunk("x", filename=None), id="no file"),
        pytest.param(lambda: b"x", id="not a form"),
    ],
)
async def test_an_upload_that_is_not_as_documented_is_refused(anyone: Client, form: Any) -> None:
    client, case_id = await anyone.signed_in()
    answer = await client.ask("POST", f"/michiQ/uploadAudio/{case_id}", data=form())
    assert (answer.status, answer.content_type) == (400, TEXT)


async def test_an_upload_to_another_users_case_is_unauthorized(anyone: Client) -> None:
    _, case_id = await anyone.signed_in()
    other, _ = await anyone.signed_in("eva@hospital.es")
    answer = await upload(other, case_id, samples.wav(1))
    assert (answer.status, answer.text) == (401, BAD_TOKEN)


async def test_an_id_that_is_no_case_is_the_callers_own(anyone: Client) -> None:
    client, _ = await anyone.signed_in()
    other, _ = await anyone.signed_in("eva@hospital.es")
    assert (await upload(client, "123456789", samples.wav(1))).status == 200
    assert (await other.ask("POST", "/michiQ/speechToText/123456789")).status == 400


async def test_the_chunks_of_a_recording_are_one(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    pieces = samples.webm_chunks(2, 3)
    for piece in pieces:
        await upload(client, case_id, piece)
    answer = await transcribed(client, case_id)
    assert answer["transcription"] == said(b"".join(pieces))
    assert answer["totalSpeechTextTime"] == "00:00:02"


@pytest.mark.parametrize("repeated", [0, 1])
async def test_a_chunk_sent_again_right_away_adds_nothing(anyone: Client, repeated: int) -> None:
    client, case_id = await anyone.signed_in()
    pieces = samples.webm_chunks(2, 2)
    for index, piece in enumerate(pieces):
        for _ in range(2 if index == repeated else 1):
            await upload(client, case_id, piece)
    assert (await transcribed(client, case_id))["transcription"] == said(b"".join(pieces))


async def test_all_recordings_are_transcribed_in_order(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    first, second = samples.wav(1), samples.audio("mp3", 2)
    await upload(client, case_id, first, "a.wav")
    await upload(client, case_id, second, "b.mp3")
    answer = await transcribed(client, case_id)
    assert answer["transcription"] == said(first, second)
    assert answer["totalSpeechTextTime"] == "00:00:03"
    assert answer["audioFiles"] == ["a.wav", "b.mp3"]


@pytest.mark.parametrize(
    ("label", "chosen"),
    [("b.wav", [1]), ("ruta/al/b.wav", [1]), ("C:\\ruta\\b.wav", [1]), ("c.wav", [0, 1]), ("", [0, 1])],
)
async def test_the_label_picks_the_recording_of_that_name(
    anyone: Client, label: str, chosen: list[int]
) -> None:
    client, case_id = await anyone.signed_in()
    recordings = [samples.wav(1), samples.wav(2)]
    for name, recording in zip(("a.wav", "b.wav"), recordings, strict=True):
        await upload(client, case_id, recording, name)
    answer = await transcribed(client, case_id, json={"audioFile": label})
    assert answer["transcription"] == said(*(recordings[index] for index in chosen))


async def test_a_transcription_joins_what_a_query_is_answered_from(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    await upload(client, case_id, samples.wav(1))
    text = (await transcribed(client, case_id))["transcription"]
    asked = {"query": "¿Transcripción del audio?"}
    assert await client.json("POST", f"/michiQ/query/{case_id}", json=asked) == {"response": text}


@pytest.mark.parametrize("body", [b"{", b"[]", json.dumps({"audioFile": 7}).encode()])
async def test_a_body_that_is_not_as_documented_is_refused(anyone: Client, body: bytes) -> None:
    client, case_id = await anyone.signed_in()
    await upload(client, case_id, samples.wav(1))
    assert (await client.ask("POST", f"/michiQ/speechToText/{case_id}", data=body)).status == 400


async def test_a_case_without_audio_has_nothing_to_transcribe(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    assert (await client.ask("POST", f"/michiQ/speechToText/{case_id}")).status == 400


async def test_audio_that_cannot_be_decoded_is_an_error(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    await upload(client, case_id, b"no audio at all")
    assert (await client.ask("POST", f"/michiQ/speechToText/{case_id}")).status == 500
