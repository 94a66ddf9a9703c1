"""POST /michiQ/uploadAudio/{id}: chunks of recordings, kept in order and encrypted (CONTRACT U)."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from yarl import URL

from proxy.audio.sniff import Container
from proxy.concurrency.locks import Hold
from proxy.sandbox import Fault
from proxy.store.upkeep.erasure import OfCase
from tests.conftest import Api, StartProxy, bearer
from tests.flows._client import (
    Patient,
    calls,
    created,
    digest,
    heard,
    parts,
    patient,
    settled,
    transcriptions,
    until,
)
from tests.samples import CONTAINERS, OTHER_CONTAINERS, audio, id3, rf64, wav, webm_chunks
from tests.stores import ENGINES

BOUNDARY: Final = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
DONE: Final = "Archivo subido exitosamente con UUID: "


def small_recordings(mapping: str) -> str:
    return mapping.replace('body_limit = "100 MB"', 'body_limit = "200 KB"')


def opening(size: int) -> bytes:
    """A chunk that opens a WebM recording."""
    return b"\x1a\x45\xdf\xa3" + bytes(size - 4)


def following(size: int, fill: int = 1) -> bytes:
    """A chunk that no container begins with."""
    return bytes([fill]) * size


def locks_asked_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[Hashable]:
    """Returns the kinds of the locks that requests ask for from now on; the list grows."""
    locks, asked = api.proxy.deps.locks, list[Hashable]()
    hold = locks.hold

    def noted(*key: Hashable) -> AbstractAsyncContextManager[Hold]:
        asked.append(key[0])
        return hold(*key)

    monkeypatch.setattr(locks, "hold", noted)
    return asked


async def send(case: Patient, body: bytes) -> tuple[int, str]:
    """A form as these very bytes."""
    reply = await case.call(
        "POST",
        "/michiQ/uploadAudio/{id}",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    return reply.status, reply.text


async def test_upload_U01_a_chunk_is_acknowledged_by_the_documented_text(api: Api) -> None:
    case = await patient(api)
    reply = await case.upload(wav(0.1))
    assert (reply.status, reply.kind) == (200, "text/plain; charset=utf-8")
    assert reply.text == DONE + case.id


async def test_upload_U01_what_was_acknowledged_is_there_after_a_restart(start_proxy: StartProxy) -> None:
    chunks = webm_chunks(0.5, 3)
    async with start_proxy() as before:
        case = await patient(before)
        await case.uploaded(*chunks, filename="visita.webm")
    async with start_proxy() as after:
        await Patient(after, case.id, case.token).transcribed()
        assert heard(after) == [digest(*chunks)]


def sample_of_the_document(audio: bytes) -> bytes:
    """The legacy document's own request: its delimiters lack the two hyphens before the boundary."""
    return b"\r\n".join(
        [
            BOUNDARY.encode(),
            b'Content-Disposition: form-data; name="audioChunk"; filename="audio.mp3"',
            b"Content-Type: audio/mpeg",
            b"",
            audio,
            BOUNDARY.encode(),
            b"",
        ]
    )


def part(name: str, content: bytes, *, end: bytes = b"--") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a.wav"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}".encode() + end + b"\r\n"


MISSING: Final = "Error al procesar el archivo de audio"
BROKEN: Final = "Solicitud incorrecta"
BAD_FORMS: Final[dict[str, tuple[bytes, str]]] = {
    "the document's own sample": (sample_of_the_document(wav(0.1)), BROKEN),
    "no audioChunk": (part("audio", wav(0.1)), MISSING),
    "no part at all": (f"--{BOUNDARY}--\r\n".encode(), MISSING),
    "an empty file": (part("audioChunk", b""), MISSING),
    "two chunks in one form": (
        part("audioChunk", wav(0.1), end=b"\r\n").removesuffix(f"--{BOUNDARY}\r\n\r\n".encode())
        + part("audioChunk", wav(0.2)),
        BROKEN,
    ),
    "no closing delimiter": (part("audioChunk", wav(0.1), end=b""), BROKEN),
    "cut inside the audio": (part("audioChunk", wav(0.1))[:500], BROKEN),
    "an empty body": (b"", BROKEN),
    "a part without a name": (part("", wav(0.1)), BROKEN),
    "no form": (wav(0.1), BROKEN),
}


async def test_upload_U02_a_form_that_is_broken_or_has_no_audio_is_400_and_leaves_nothing(
    api: Api, tmp_path: Path
) -> None:
    case = await patient(api)
    for what, (body, text) in BAD_FORMS.items():
        assert await send(case, body) == (400, text), what
    assert ENGINES.blobs(tmp_path) == {}
    assert (await case.transcribe()).status == 400


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", ""]
)
async def test_upload_U02_what_is_no_form_is_400(api: Api, kind: str) -> None:
    case = await patient(api)
    reply = await case.call(
        "POST",
        "/michiQ/uploadAudio/{id}",
        data=part("audioChunk", wav(0.1)),
        headers={"Content-Type": kind},
    )
    assert (reply.status, reply.text) == (400, BROKEN)


async def test_upload_U02_parts_of_other_names_do_not_matter(api: Api) -> None:
    case, chunk = await patient(api), wav(0.1)
    form = aiohttp.FormData()
    for name, content in [("note", b"hola"), ("audioChunk", chunk), ("last", b"1")]:
        form.add_field(name, content, filename=f"{name}.wav")
    assert (await case.call("POST", "/michiQ/uploadAudio/{id}", data=form)).status == 200
    await case.transcribed()
    assert heard(api) == [digest(chunk)]


async def test_upload_U02_without_a_valid_token_it_is_401(api: Api) -> None:
    case = await patient(api)
    for authorization in ["", "Bearer", "Bearer unknown", f"Basic {case.token}"]:
        headers = {"Authorization": authorization}
        form = aiohttp.FormData({"audioChunk": "x"}, default_to_multipart=True)
        reply = await case.call("POST", "/michiQ/uploadAudio/{id}", data=form, headers=headers)
        assert (reply.status, reply.text) == (401, "Authorization token missing or invalid"), authorization


async def test_upload_U02_another_method_is_405(api: Api) -> None:
    case = await patient(api)
    for method in ["GET", "PUT", "DELETE", "PATCH"]:
        reply = await case.call(method, "/michiQ/uploadAudio/{id}")
        assert (reply.status, reply.text) == (405, "Método no permitido"), method
        assert reply.headers["Allow"] == "POST", method


async def test_upload_U02_an_id_that_is_none_is_400(api: Api) -> None:
    case = await patient(api)
    for path in ["", "/", "/a%2Fb", "/..%2f", "/" + "a" * 65]:
        form = aiohttp.FormData({"audioChunk": "x"}, default_to_multipart=True)
        url = URL(f"{api.url}/michiQ/uploadAudio{path}", encoded=True)
        async with api.http.post(url, data=form, headers=bearer(case.token)) as response:
            assert (response.status, await response.text()) == (400, "ID audio no proporcionado"), path


async def test_upload_U03_a_free_id_is_each_users_own(api: Api) -> None:
    ana = await patient(api, "123456789")
    eva = await patient(api, "123456789", user_mail="eva@clinica.example")
    await ana.uploaded(wav(0.1))
    await eva.uploaded(wav(0.2))
    await ana.transcribed()
    await eva.transcribed()
    assert heard(api) == [digest(wav(0.1)), digest(wav(0.2))]


async def test_upload_U03_one_mail_in_two_organizations_is_two_users(api: Api) -> None:
    await (await patient(api, "123456789")).uploaded(wav(0.1))
    other = await patient(api, "123456789", organization="Clínica Sur")
    assert (await other.transcribe()).status == 400


async def test_upload_U03_a_case_of_another_user_is_401_and_keeps_nothing(api: Api, tmp_path: Path) -> None:
    ana = await patient(api)
    eva = await patient(api, ana.id, user_mail="eva@clinica.example")
    reply = await eva.upload(wav(0.1))
    assert (reply.status, reply.text) == (401, "Authorization token missing or invalid")
    assert ENGINES.blobs(tmp_path) == {}


@pytest.mark.parametrize("streamed", [False, True])
async def test_upload_U04_chunks_of_every_container_make_one_recording(api: Api, streamed: bool) -> None:
    for container in CONTAINERS:
        case = await patient(api)
        whole = audio(container, 0.6, streamed=streamed)
        third = len(whole) // 3 + 1
        await case.uploaded(whole[:third], whole[third : 2 * third], whole[2 * third :])
        await case.transcribed()
        assert heard(api)[-1] == digest(whole), container


def frames(mp3: bytes) -> tuple[bytes, bytes]:
    """An MP3 cut where a frame begins."""
    middle = mp3.index(MP3[:2], len(mp3) // 2)
    return mp3[:middle], mp3[middle:]


def of(container: Container, seconds: float = 0.3) -> bytes:
    return audio(container, seconds, streamed=True)


MP3: Final = of("mp3")
TAGGED: Final = b"ID3\x04\x00\x00\x00\x00\x00\x00" + MP3
OGG: Final = of("ogg")
AAC: Final = of("aac")
SEQUENCES: Final[dict[str, Sequence[Sequence[bytes]]]] = {
    "each WAV is a file of its own": [[wav(0.1)], [wav(0.2)]],
    "each FLAC is a file of its own": [[of("flac")], [of("flac", 0.2)]],
    "each MP4 is a file of its own": [[of("m4a")], [of("m4a", 0.2)]],
    "an EBML header begins another WebM": [webm_chunks(0.3, 2), webm_chunks(0.4, 2)],
    "an Ogg page goes on unless it is a stream's first": [
        [OGG[: OGG.rindex(b"OggS")], OGG[OGG.rindex(b"OggS") :]]
    ],
    "a bare MPEG frame goes on with an MP3": [frames(MP3)],
    "a bare MPEG frame ends what is no MP3": [[wav(0.1)], frames(MP3)],
    "an ID3 tag begins another MP3": [[MP3], frames(TAGGED)],
    "what has no signature goes on": [[opening(9000), following(9000), following(10, 2)]],
    "each RF64 is a file of its own": [[rf64(0.1)], [rf64(0.2)]],
    "each WMA is a file of its own": [[audio("wma", 0.1)], [audio("wma", 0.2)]],
    "each AIFF is a file of its own": [[audio("aiff", 0.1)], [audio("aiff", 0.2)]],
    "each AMR is a file of its own": [[audio("amr", 0.1)], [audio("amr", 0.2)]],
    "each CAF is a file of its own": [[audio("caf", 0.1)], [audio("caf", 0.2)]],
    "each AU is a file of its own": [[audio("au", 0.1)], [audio("au", 0.2)]],
    "a bare AAC frame ends what is no AAC, and goes on with an AAC": [
        [wav(0.1)],
        [AAC[:40], AAC[AAC.index(AAC[:3], 40) :]],
    ],
    "a signature may be cut": [[opening(900)[:1], opening(900)[1:], following(9)]],
    "a signature may be cut where another recording goes on": [
        [opening(900)],
        [wav(0.1)[:3], wav(0.1)[3:9], wav(0.1)[9:]],
    ],
    "a byte that may begin a signature goes on unless it does": [
        [opening(900), b"\x1a", following(9), b"R"],
        [wav(0.1)],
    ],
    "a byte that begins no signature goes on": [[opening(900), b"x", following(9)]],
    "the same bytes, but not right after, are kept": [
        [opening(99), following(9), following(8), following(9)]
    ],
}


async def test_upload_U04_a_container_begins_a_recording(api: Api) -> None:
    for number, (what, recordings) in enumerate(SEQUENCES.items()):
        case = await patient(api, f"libre-{number}")
        known = len(heard(api))
        for recording in recordings:
            await case.uploaded(*recording)
        await case.transcribed()
        assert heard(api)[known:] == [digest(*recording) for recording in recordings], what


async def test_upload_U04_a_recorder_that_sends_its_first_byte_alone_makes_one_recording(api: Api) -> None:
    first, second = webm_chunks(2, 2)
    case = await patient(api)
    await case.uploaded(first[:1], first[1:], second, filename="blob")
    answer = await case.transcribed()
    (sent,) = parts(transcriptions(api)[0])
    assert sent["sha256"] == digest(first, second)
    assert (sent["filename"], sent["contentType"]) == ("blob.webm", "audio/webm")
    assert (answer["audioFiles"], answer["totalSpeechTextTime"]) == (["blob"], "00:00:02")


async def test_upload_U04_a_first_byte_is_durable_before_the_rest_of_its_signature(
    start_proxy: StartProxy,
) -> None:
    first, second = webm_chunks(0.5, 2)
    async with start_proxy() as before:
        case = await patient(before)
        await case.uploaded(wav(0.1), filename="antes.wav")
        await case.uploaded(first[:1], filename="visita.webm")
    async with start_proxy() as after:
        case = Patient(after, case.id, case.token)
        await case.uploaded(first[1:], second, filename="otra.webm")
        names = [segment["audioFile"] for segment in (await case.transcribed())["segments"]]
        assert names == ["antes.wav", "visita.webm"]
        assert heard(after) == [digest(wav(0.1)), digest(first, second)]


async def test_upload_U04_short_chunks_that_are_sent_again_make_no_copy(api: Api, tmp_path: Path) -> None:
    first, second = webm_chunks(0.5, 2)
    case = await patient(api)
    await case.uploaded(wav(0.1), first[:1], first[:1], first[1:3], first[1:3], first[3:], first[3:], second)
    assert len(ENGINES.blobs(tmp_path)) == 5
    await case.transcribed()
    assert heard(api) == [digest(wav(0.1)), digest(first, second)]


async def test_upload_U04_what_was_heard_before_a_byte_turned_out_to_open_a_recording_stays(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(opening(900), wav(0.1)[:1])
    await case.transcribed()
    await case.uploaded(wav(0.1)[1:], filename="otra.wav")
    assert len((await case.transcribed())["segments"]) == 2
    assert heard(api) == [digest(opening(900), wav(0.1)[:1]), digest(wav(0.1))]


async def test_upload_U04_a_chunks_own_name_opens_nothing(api: Api) -> None:
    chunks = webm_chunks(0.5, 4)
    case = await patient(api)
    for number, chunk in enumerate(chunks):
        await case.uploaded(chunk, filename=f"trozo-{number}.webm")
    (segment,) = (await case.transcribed())["segments"]
    assert segment["audioFile"] == "trozo-0.webm"
    assert heard(api) == [digest(*chunks)]


NAMES: Final[dict[str, tuple[bytes, str, str]]] = {
    "blob": (webm_chunks(0.2, 1)[0], "blob.webm", "audio/webm"),
    "visita.webm": (audio("m4a", 0.2), "visita.m4a", "audio/mp4"),
    "visita.mp4": (audio("m4a", 0.3), "visita.mp4", "audio/mp4"),
    "consulta 21.03": (rf64(0.2), "consulta 21.03.wav", "audio/wav"),
    "canción.mp3": (id3(9000) + audio("flac", 0.2), "canción.flac", "audio/flac"),
    "dictado": (audio("wma", 0.2), "dictado.wma", "audio/x-ms-wma"),
    "nota.3gp": (audio("amr", 0.2), "nota.amr", "audio/amr"),
}


async def test_upload_U04_both_systems_get_a_name_that_ends_as_the_container_does(api: Api) -> None:
    case = await patient(api)
    for name, (content, _, _) in NAMES.items():
        await case.uploaded(content, filename=name)
    heard_of = [segment["audioFile"] for segment in (await case.transcribed())["segments"]]
    assert heard_of == list(NAMES)
    await settled(api)
    sent = [(name, kind) for _, name, kind in NAMES.values()]
    assert [
        (each["filename"], each["contentType"]) for call in transcriptions(api) for each in parts(call)
    ] == sent
    linked = [each for each in parts(created(api)[-1]) if each["filename"] in dict(sent)]
    assert [(each["filename"], each["contentType"]) for each in linked] == sent


async def test_speech_S01_the_length_of_less_common_containers_is_told(api: Api) -> None:
    case = await patient(api)
    for name in OTHER_CONTAINERS:
        await case.uploaded(audio(name, 1))
    lengths = [segment["time"] for segment in (await case.transcribed())["segments"]]
    assert lengths == ["00:00:01"] * len(OTHER_CONTAINERS)


async def test_upload_U04_a_chunk_that_is_sent_again_makes_no_copy(api: Api, tmp_path: Path) -> None:
    first, second, third = webm_chunks(0.5, 3)
    case = await patient(api)
    await case.uploaded(first, first, second, second, second, third, third)
    assert len(ENGINES.blobs(tmp_path)) == 3
    await case.transcribed()
    assert heard(api) == [digest(first, second, third)]


async def test_upload_U04_a_chunk_that_is_sent_again_is_kept_if_the_first_one_is_gone_by_then(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, whole, is_gone = await patient(api), part("audioChunk", wav(0.1)), asyncio.Event()
    await case.uploaded(wav(0.1))
    (first,) = ENGINES.blobs(tmp_path)
    asked = locks_asked_for(api, monkeypatch)

    async def slowly() -> AsyncIterator[bytes]:
        yield whole[:500]
        await is_gone.wait()
        yield whole[500:]

    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    again = asyncio.create_task(case.call("POST", "/michiQ/uploadAudio/{id}", data=slowly(), headers=kind))
    await until(lambda: "recording" in asked)
    await api.proxy.deps.store.erasure.erase(OfCase(case.id), "eva", api.clock())
    assert first not in ENGINES.blobs(tmp_path)
    is_gone.set()
    assert (await again).status == 200
    assert len(ENGINES.blobs(tmp_path)) == 1


async def test_upload_U04_a_whole_file_that_is_sent_again_makes_no_copy(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), wav(0.1))
    assert len((await case.transcribed())["segments"]) == 1


async def test_upload_U04_what_arrives_first_comes_first_even_if_its_token_is_renewed(api: Api) -> None:
    case = await patient(api)
    api.clock.ahead = timedelta(hours=2)
    api.sandbox.llamalitica.faults.add(Fault(kind="delay", delay=0.3, path_prefix="/api/users/me"))
    known = len(calls(api, "/api/users/me"))
    first = asyncio.create_task(case.upload(opening(5000)))
    await until(lambda: len(calls(api, "/api/users/me")) > known)
    second = asyncio.create_task(case.upload(following(5000)))
    assert [reply.status for reply in await asyncio.gather(first, second)] == [200, 200]
    await case.transcribed()
    assert heard(api) == [digest(opening(5000), following(5000))]


async def test_upload_U04_chunks_that_come_at_once_are_all_kept_in_one_recording(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(opening(5000))
    replies = await asyncio.gather(*(case.upload(following(1000 + fill, fill)) for fill in range(1, 9)))
    assert [reply.status for reply in replies] == [200] * 8
    (segment,) = (await case.transcribed())["segments"]
    assert segment["audioFile"] == "consulta.wav"
    assert parts(transcriptions(api)[0])[0]["size"] == 5000 + sum(1000 + fill for fill in range(1, 9))


async def test_upload_U04_two_tokens_of_one_user_take_turns_at_one_recording(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await patient(api, "libre")
    second = await patient(api, "libre")
    assert first.token != second.token
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield part("audioChunk", opening(9000), end=b"")[:5000]
        await go_on.wait()
        yield part("audioChunk", opening(9000))[5000:]

    asked = locks_asked_for(api, monkeypatch)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    slow = asyncio.create_task(first.call("POST", "/michiQ/uploadAudio/{id}", data=slowly(), headers=kind))
    await until(lambda: asked.count("recording") == 1)
    quick = asyncio.create_task(second.upload(following(9000)))
    await until(lambda: quick.done() or asked.count("recording") == 2)
    go_on.set()
    assert [reply.status for reply in await asyncio.gather(slow, quick)] == [200, 200]
    await first.transcribed()
    assert heard(api) == [digest(opening(9000), following(9000))]


async def test_upload_U05_a_recording_over_the_limit_is_413_and_nothing_stays_of_the_last_chunk(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with start_proxy(edit={"upload_audio": small_recordings}) as api:
        case = await patient(api)
        kept = [opening(120_000), following(60_000), following(20_000, 2)]
        await case.uploaded(*kept[:2])
        reply = await case.upload(following(20_001, 3))
        assert (reply.status, reply.text) == (413, "Solicitud demasiado grande")
        assert len(ENGINES.blobs(tmp_path)) == 2
        await case.uploaded(kept[2])
        await case.transcribed()
        assert heard(api) == [digest(*kept)]


async def test_upload_U05_the_limit_holds_for_small_chunks_too(start_proxy: StartProxy) -> None:
    async with start_proxy(edit={"upload_audio": small_recordings}) as api:
        case = await patient(api)
        await case.uploaded(opening(199_000))
        assert [(await case.upload(following(600, fill))).status for fill in (1, 2, 3)] == [200, 413, 413]


async def test_upload_U05_a_new_recording_has_the_whole_limit_again(start_proxy: StartProxy) -> None:
    async with start_proxy(edit={"upload_audio": small_recordings}) as api:
        case = await patient(api)
        await case.uploaded(opening(200_000), opening(199_999))
        assert (await case.upload(opening(200_001))).status == 413


async def test_upload_U05_the_bytes_before_a_cut_signature_take_room_of_the_new_recording(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(edit={"upload_audio": small_recordings}) as api:
        case = await patient(api)
        await case.uploaded(opening(199_000), opening(9)[:2])
        assert (await case.upload(opening(200_001)[2:])).status == 413
        await case.uploaded(opening(200_000)[2:])
        await case.transcribed()
        assert heard(api) == [digest(opening(199_000)), digest(opening(200_000))]


async def test_upload_U05_a_chunk_sent_again_needs_no_room_of_its_own(start_proxy: StartProxy) -> None:
    async with start_proxy(edit={"upload_audio": small_recordings}) as api:
        case = await patient(api)
        await case.uploaded(opening(90_000), following(110_000), following(110_000))
        assert (await case.upload(following(110_000, 2))).status == 413


async def test_upload_U05_a_body_without_a_length_is_413_once_it_is_over_the_limit(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with start_proxy(edit={"upload_audio": small_recordings}) as api:
        case = await patient(api)

        async def pieces() -> AsyncIterator[bytes]:
            yield part("audioChunk", opening(150_000), end=b"")[: -len(BOUNDARY) - 4]
            yield following(50_001)

        reply = await case.call(
            "POST",
            "/michiQ/uploadAudio/{id}",
            data=pieces(),
            headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        )
        assert reply.status == 413
        assert ENGINES.blobs(tmp_path) == {}


async def test_upload_U06_nothing_of_the_audio_is_in_the_clear_on_disk(api: Api, tmp_path: Path) -> None:
    case = await patient(api)
    canary = b"CANARY of a voice "
    await case.uploaded(opening(5000) + canary * 9000, canary * 10, filename="voz de Pérez.webm")
    stored = await ENGINES.bytes_of(tmp_path)
    assert ENGINES.blobs(tmp_path)
    assert canary not in stored
    assert "Pérez".encode() not in stored


async def test_upload_U06_audio_is_removed_after_its_retention(api: Api, tmp_path: Path) -> None:
    case = await patient(api, "libre")
    await case.uploaded(wav(0.1), wav(0.2))
    sweep = api.proxy.deps.store.retention.sweep
    now = datetime.now(UTC)
    await sweep(now + timedelta(days=29), content_days=90, audio_days=30)
    assert len(ENGINES.blobs(tmp_path)) == 2
    await sweep(now + timedelta(days=31), content_days=90, audio_days=30)
    assert ENGINES.blobs(tmp_path) == {}
    later = await patient(api, "libre")
    assert (await later.transcribe()).status == 400
