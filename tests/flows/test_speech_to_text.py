"""POST /michiQ/speechToText/{id}: uploaded audio as text, once, and on to the new platform (CONTRACT S)."""

import asyncio
import json
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import pytest

from proxy.flows.deps import Deps
from proxy.flows.speech_to_text.linked_case import forward
from proxy.sandbox import Fault, Sandbox, SandboxConfig, run_sandbox
from proxy.sandbox.faults import Kind
from proxy.upstream.client import open_upstream
from proxy.upstream.llamalitica import Llamalitica
from proxy.values import LinkedCase
from proxy.web.service import Running
from tests.captured import captured_log
from tests.cli.test_processes import command
from tests.cli.test_processes import until as printed
from tests.conftest import Api, Clock, StartProxy, case_form
from tests.flows._client import (
    Patient,
    created,
    digest,
    heard,
    parts,
    patient,
    settled,
    transcriptions,
    until,
)
from tests.samples import CONTAINERS, audio, wav, webm_chunks

FAILED: Final = "Error al transcribir el audio"
SPOKEN: Final = "La paciente refiere fiebre desde ayer. ¿Tos? Sí."
UPSTREAM: Final = "/api/transcription"


async def test_speech_S01_the_answer_has_text_length_and_segments(
    start_proxy: StartProxy,
) -> None:
    first, second = wav(61.2), wav(2.0)
    texts = {digest(first): SPOKEN, digest(second): "Adiós."}
    async with start_proxy(config=SandboxConfig(transcripts=texts)) as api:
        case = await patient(api)
        await case.uploaded(first, filename="primera.wav")
        await case.uploaded(second, filename="segunda.wav")
        reply = await case.transcribe()
        assert (reply.status, reply.kind) == (200, "application/json")
        assert reply.json == {
            "transcription": f"{SPOKEN}\nAdiós.",
            "totalSpeechTextTime": "00:01:03",
            "michiq_uuid": case.id,
            "segments": [
                {"audioFile": "primera.wav", "transcription": SPOKEN, "time": "00:01:01"},
                {"audioFile": "segunda.wav", "transcription": "Adiós.", "time": "00:00:02"},
            ],
            "audioFiles": ["primera.wav", "segunda.wav"],
        }
        assert SPOKEN.encode() in reply.body


@pytest.mark.parametrize("streamed", [False, True])
async def test_speech_S01_the_length_is_read_from_the_audio_of_every_format(api: Api, streamed: bool) -> None:
    for container in CONTAINERS:
        case = await patient(api)
        recording = (
            wav(3.0, streamed=streamed) if container == "wav" else audio(container, 3.0, streamed=streamed)
        )
        await case.uploaded(recording, filename=f"a.{container}")
        assert (await case.transcribed())["totalSpeechTextTime"] == "00:00:03", container


async def test_speech_S01_the_length_of_a_recording_in_many_chunks_is_that_of_the_whole(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(*webm_chunks(4.0, 20))
    assert (await case.transcribed())["totalSpeechTextTime"] == "00:00:04"


async def test_speech_S01_audio_that_cannot_be_measured_is_transcribed_all_the_same(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(b"\x1a\x45\xdf\xa3" + b"\1" * 5000)
    assert (await case.transcribed())["totalSpeechTextTime"] == "00:00:00"


LABELS: Final = [
    "dos.wav",
    "ruta/al/archivo/dos.wav",
    "C:\\fakepath\\dos.wav",
    "../../dos.wav",
    "/etc/dos.wav",
    "https://otro.example/grabaciones/dos.wav",
    "mezcla\\de/dos.wav",
]
NO_LABELS: Final = ["", "/", "otra.wav", "../../../etc/passwd", "DOS.wav", "dos.wav/", "dos.wa\0v", "dos"]


NO_BODIES: Final = [
    *(None, b"", b" \r\n", b"\0\0", b"\xef\xbb\xbf", b"null", b" null\0", b"{}", b"{}\0"),
    *(
        b'{"audioFile": null}',
        b'{"AudioFile": null}',
        b'{"otra": 1}',
        b'{"audioFile": "", "AudioFile": "dos.wav"}',
    ),
]


async def test_speech_S02_the_last_component_of_the_label_picks_the_file_of_that_name(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), filename="uno.wav")
    await case.uploaded(wav(0.2), filename="dos.wav")
    for label in LABELS:
        assert (await case.transcribed(audioFile=label))["audioFiles"] == ["dos.wav"], label
    assert heard(api) == [digest(wav(0.2))]


async def test_speech_S02_a_label_that_names_no_uploaded_file_stands_for_all_in_order(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), filename="uno.wav")
    await case.uploaded(wav(0.2), filename="dos.wav")
    for label in NO_LABELS:
        assert (await case.transcribed(audioFile=label))["audioFiles"] == ["uno.wav", "dos.wav"], label
    for body in NO_BODIES:
        reply = await case.call("POST", "/michiQ/speechToText/{id}", data=body)
        assert reply.json["audioFiles"] == ["uno.wav", "dos.wav"], body


async def test_speech_S02_a_label_is_never_fetched(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    await case.transcribed(audioFile=f"{api.sandbox.michiq.url}/michiQ/audio.wav")
    assert api.sandbox.michiq.calls == []


async def test_speech_S02_an_uploaded_name_with_a_path_is_known_by_its_last_component(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), filename="uno.wav")
    await case.uploaded(wav(0.2), filename="visitas/dos.wav")
    assert (await case.transcribed(audioFile="dos.wav"))["audioFiles"] == ["visitas/dos.wav"]


async def test_speech_S02_files_of_one_name_are_all_meant(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), wav(0.2), wav(0.3), filename="audio.wav")
    assert len((await case.transcribed(audioFile="audio.wav"))["segments"]) == 3


# The label "señal.wav" as programs write it down.
WRITTEN: Final = {
    "Latin-1": ("application/json", '{"audioFile": "señal.wav"}'.encode("latin-1")),
    "Latin-1, declared": ("application/json; charset=latin1", '{"audioFile": "señal.wav"}'.encode("latin-1")),
    "capitals": ("application/json", '{"AUDIOFILE": "señal.wav"}'.encode()),
    "another case and NULs": ("application/json", '{"AudioFile": "señal.wav"}\0\0'.encode()),
    "accents apart": ("application/json", '{"audioFile": "C:\\\\sen\u0303al.wav"}'.encode()),
}


@pytest.mark.parametrize("uploaded", ["señal.wav", "sen\u0303al.wav"], ids=["NFC", "NFD"])
async def test_speech_S02_a_label_is_read_as_its_program_wrote_it(api: Api, uploaded: str) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), filename="uno.wav")
    await case.uploaded(wav(0.2), filename=uploaded)
    for name, (kind, body) in WRITTEN.items():
        headers = {"Content-Type": kind}
        reply = await case.call("POST", "/michiQ/speechToText/{id}", data=body, headers=headers)
        assert [digest(wav(0.2))] == heard(api), (name, reply.text)


BAD_BODIES: Final = [b"{", b"[]", b'"a"', b"1", b'{"audioFile": 1}', b'{"audioFile": ["a"]}', b"\xff", b"a=b"]


async def test_speech_S03_a_body_that_is_not_as_documented_is_400(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    for body in BAD_BODIES:
        reply = await case.call("POST", "/michiQ/speechToText/{id}", data=body)
        assert (reply.status, reply.text) == (400, "Error al procesar la solicitud"), body
    assert transcriptions(api) == []


async def test_speech_S03_without_audio_it_is_400(api: Api) -> None:
    for legacy_id in [None, "123456789"]:
        reply = await (await patient(api, legacy_id)).transcribe()
        assert (reply.status, reply.text) == (400, "No hay audio para transcribir")
    assert transcriptions(api) == []


async def test_speech_S03_who_may_not_is_401(api: Api) -> None:
    ana = await patient(api)
    await ana.uploaded(wav(0.1))
    eva = await patient(api, ana.id, user_mail="eva@clinica.example")
    for stranger in [eva, Patient(api, ana.id, "unknown")]:
        reply = await stranger.transcribe()
        assert (reply.status, reply.text) == (401, "Authorization token missing or invalid")
    assert transcriptions(api) == []


KINDS: Final[list[Kind]] = [
    "html",
    "redirect",
    "cut_before_body",
    "broken_json",
    "wrong_content_type",
    "oversized",
    "truncated",
    "cut_after_body",
]
STATUSES: Final = (400, 401, 402, 404, 409, 413, 422, 429, 500, 502)
FAULTS: Final = [Fault(kind="status", status=status) for status in STATUSES] + [
    Fault(kind=kind) for kind in KINDS
]


async def test_speech_S03_any_failure_of_the_transcription_is_500_and_the_next_call_tries_again(
    api: Api,
) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    faults = [
        *(
            Fault(kind="status", status=status)
            for status in (400, 401, 402, 404, 409, 413, 422, 429, 500, 502)
        ),
        *(Fault(kind=kind) for kind in KINDS),
    ]
    for fault in faults:
        api.sandbox.llamachat.faults.add(fault)
        reply = await case.transcribe()
        text = "Créditos insuficientes" if fault.status == 402 else FAILED
        assert (reply.status, reply.text) == (500, text), fault
        assert reply.headers["X-Michiq-Cause"].startswith("llamachat-"), fault
    await case.transcribed()
    assert len(transcriptions(api)) == len(FAULTS) + 1


async def test_speech_S03_audio_that_the_upstream_does_not_take_is_500(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(b"no es audio")
    reply = await case.transcribe()
    assert (reply.status, reply.headers["X-Michiq-Cause"]) == (500, "llamachat-400")


async def test_speech_S03_without_a_llamachat_it_is_500(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_LLAMACHAT_URL="", MICHIQ_LLAMACHAT_API_KEY="") as api:
        case = await patient(api)
        await case.uploaded(wav(0.1))
        reply = await case.transcribe()
        assert (reply.status, reply.text) == (500, FAILED)


async def test_speech_S03_the_field_is_audio_and_name_and_format_are_kept(api: Api) -> None:
    case = await patient(api)
    recording = audio("flac", 0.3)
    await case.uploaded(recording, filename='visita "número" 1.flac')
    await case.transcribed()
    (part,) = parts(transcriptions(api)[0])
    assert (part["name"], part["contentType"]) == ("audio", "audio/flac")
    assert part["filename"] == 'visita "número" 1.flac'
    assert (part["size"], part["sha256"]) == (len(recording), digest(recording))


async def test_speech_S03_an_empty_text_is_an_empty_transcription(start_proxy: StartProxy) -> None:
    async with start_proxy(config=SandboxConfig(transcripts={digest(wav(1.0)): ""})) as api:
        case = await patient(api)
        await case.uploaded(wav(1.0))
        answer = await case.transcribed()
        assert (answer["transcription"], answer["totalSpeechTextTime"]) == ("", "00:00:01")


async def test_speech_S04_a_repeated_call_costs_nothing(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), wav(0.2))
    assert await case.transcribed() == await case.transcribed()
    assert len(transcriptions(api)) == 2


async def test_speech_S04_only_new_audio_is_transcribed(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    await case.transcribed()
    await case.uploaded(wav(0.2))
    await case.transcribed()
    assert heard(api) == [digest(wav(0.1)), digest(wav(0.2))]


async def test_speech_S05_what_was_heard_of_a_shorter_recording_is_not_told_twice(api: Api) -> None:
    case = await patient(api)
    first, second = webm_chunks(2, 2)
    await case.uploaded(first, filename="consulta.webm")
    shorter = (await case.transcribed())["transcription"]
    await case.uploaded(second, filename="consulta.webm")
    whole = (await case.transcribed())["transcription"]
    told = (await case.document())["input"]["conversation"]
    assert (whole in told, shorter in told) == (True, False)


async def test_speech_S04_calls_at_once_make_one_transcription(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    api.sandbox.llamachat.faults.add(Fault(kind="delay", delay=0.2, path_prefix=UPSTREAM))
    answers = await asyncio.gather(*(case.transcribed() for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    assert len(transcriptions(api)) == 1


async def test_speech_S04_the_result_is_kept_when_the_client_leaves(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), wav(0.2))
    api.sandbox.llamachat.faults.add(Fault(kind="delay", delay=0.2, path_prefix=UPSTREAM))
    leaving = asyncio.create_task(case.transcribe())
    await until(lambda: transcriptions(api))
    leaving.cancel()
    assert len((await case.transcribed())["segments"]) == 2
    assert len(transcriptions(api)) == 2


async def test_speech_S04_the_result_is_kept_when_the_route_is_out_of_time(start_proxy: StartProxy) -> None:
    def hasty(mapping: str) -> str:
        return mapping.replace('timeout = "10 min"', 'timeout = "200 ms"')

    async with start_proxy(edit={"speech_to_text": hasty}) as api:
        case = await patient(api)
        await case.uploaded(wav(0.1))
        api.sandbox.llamachat.faults.add(Fault(kind="delay", delay=0.6, path_prefix=UPSTREAM))
        reply = await case.transcribe()
        assert (reply.status, reply.text) == (500, FAILED)
        await settled(api)
        await case.transcribed()
        assert len(transcriptions(api)) == 1
        assert len(created(api)) == 2


async def test_speech_S04_another_user_of_the_same_id_pays_for_their_own(api: Api) -> None:
    for mail in ["ana@clinica.example", "eva@clinica.example"]:
        user = await patient(api, "123456789", user_mail=mail)
        await user.uploaded(wav(0.1))
        await user.transcribed()
    assert len(transcriptions(api)) == 2


async def test_speech_S05_the_transcription_joins_the_texts_of_the_case(start_proxy: StartProxy) -> None:
    async with start_proxy(config=SandboxConfig(transcripts={digest(wav(0.1)): SPOKEN})) as api:
        case = await patient(api)
        await case.uploaded(wav(0.1))
        await case.transcribed()
        assert SPOKEN in (await case.document())["input"]["conversation"]
        (encounter,) = (await case.call("GET", "/michiQ/encounters")).json
        assert SPOKEN in encounter["Input"]["conversation"]
        answer = await case.call("POST", "/michiQ/query/{id}", json={"query": "¿Desde cuándo tiene fiebre?"})
        assert "La paciente refiere fiebre desde ayer." in answer.json["response"]


async def test_speech_S05_new_audio_becomes_another_case_of_the_patient(
    start_proxy: StartProxy,
) -> None:
    recording = webm_chunks(0.5, 3)
    async with start_proxy(config=SandboxConfig(transcripts={digest(*recording): SPOKEN})) as api:
        form = case_form(ehr='{"nhc": "77", "name": "Ana Ñ", "edad": 41.50}', conversation="¿Qué tal?\nBien.")
        made = await api.new_case(form)
        case = Patient(api, made["michiq_uuid"], made["token"])
        await case.uploaded(*recording, filename="visita ñ.webm")
        await case.transcribed()
        await settled(api)
        first, second = api.sandbox.llamalitica.cases.values()
        assert first.id == case.id
        assert second.user == first.user
        assert second.organization_header == "Clínica Norte".encode()
        assert second.patient_metadata == first.patient_metadata
        assert [(file.name, file.content_type, file.sha256) for file in second.files] == [
            ("visita ñ.webm", "audio/webm", digest(*recording)),
            ("conversation.txt", "text/plain; charset=utf-8", digest("¿Qué tal?\nBien.".encode())),
            ("transcription.txt", "text/plain; charset=utf-8", digest(SPOKEN.encode())),
        ]


async def test_speech_S05_each_audio_is_forwarded_once(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    await asyncio.gather(*(case.transcribed() for _ in range(4)))
    await settled(api)
    await case.transcribed()
    await settled(api)
    assert len(created(api)) == 2
    await case.uploaded(wav(0.2))
    await case.transcribed()
    await settled(api)
    audio_of_third = [part["sha256"] for part in parts(created(api)[2]) if part["contentType"] == "audio/wav"]
    assert audio_of_third == [digest(wav(0.2))]
    assert len(created(api)) == 3


async def test_speech_S05_recordings_that_are_new_together_make_one_case(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), wav(0.2))
    await case.transcribed()
    await settled(api)
    assert len(created(api)) == 2
    (linked,) = (await case.page()).json["linkedCases"]
    assert linked["state"] == "done"


async def test_speech_S05_an_id_that_is_no_case_is_not_forwarded(api: Api) -> None:
    free = await patient(api, "123456789")
    await free.uploaded(wav(0.1))
    await free.transcribed()
    await settled(api)
    assert len(created(api)) == 1


async def test_speech_S05_forwarding_can_be_switched_off(start_proxy: StartProxy) -> None:
    def off(mapping: str) -> str:
        return mapping.replace('forward = "linked-case"', 'forward = "none"')

    async with start_proxy(edit={"speech_to_text": off}) as api:
        case = await patient(api)
        await case.uploaded(wav(0.1))
        await case.transcribed()
        await settled(api)
        assert len(created(api)) == 1
        assert (await case.page()).json["linkedCases"] == []


AMBIGUOUS: Final = [
    *(Fault(kind=kind, path_prefix="/api/cases") for kind in KINDS if kind != "redirect"),
    *(Fault(kind="status", status=status, path_prefix="/api/cases") for status in (500, 502, 503, 504)),
]
CLEAR: Final = [
    Fault(kind="status", status=status, path_prefix="/api/cases")
    for status in (400, 401, 402, 404, 409, 413, 422, 429)
]


async def test_speech_S05_a_linked_case_that_may_have_been_made_is_never_sent_again(api: Api) -> None:
    for fault in AMBIGUOUS:
        case = await patient(api)
        await case.uploaded(wav(0.1))
        before = len(created(api))
        api.sandbox.llamalitica.faults.add(fault)
        for _ in range(2):
            await case.transcribed()
            await settled(api)
        assert len(created(api)) == before + 1, fault
        (linked,) = (await case.page()).json["linkedCases"]
        assert (linked["caseId"], linked["state"]) == (None, "ambiguous"), fault


async def test_speech_S05_a_refused_linked_case_is_sent_with_the_next_transcription(
    api: Api,
) -> None:
    for fault in CLEAR:
        case = await patient(api)
        await case.uploaded(wav(0.1))
        before = len(created(api))
        api.sandbox.llamalitica.faults.add(fault)
        await case.transcribed()
        await settled(api)
        (refused,) = (await case.page()).json["linkedCases"]
        assert refused["state"] == "failed", fault
        await case.transcribed()
        await settled(api)
        assert len(created(api)) == before + 2, fault
        (linked,) = (await case.page()).json["linkedCases"]
        assert linked["state"] == "done", fault


async def test_speech_S05_a_failure_is_told_to_the_operator_without_data(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1), filename="voz de Pérez.wav")
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=402, path_prefix="/api/cases"))
    with captured_log() as log:
        await case.transcribed()
        await settled(api)
    assert "linked_case_failed" in log.getvalue()
    assert "llamalitica-402" in log.getvalue()
    for secret in ["Pérez", "P\\u00e9rez", case.token, "simulada", "sandbox-api-key"]:
        assert secret not in log.getvalue(), secret


@dataclass
class Outage:
    """A platform that comes up, on the address it always had, in the `ends_in`-th wait."""

    ends_in: int
    stack: AsyncExitStack
    waited: list[float] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    sandbox: Sandbox | None = None

    def __post_init__(self) -> None:
        self.reserved = socket.create_server(("127.0.0.1", 0))
        self.port = self.reserved.getsockname()[1]
        self.reserved.close()

    async def pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) == self.ends_in:
            starting = run_sandbox(SandboxConfig(), ports=(self.port, 0, 0))
            self.sandbox = await self.stack.enter_async_context(starting)


async def forwarded(case: Patient, outage: Outage) -> LinkedCase:
    """Returns the linked case as stored once forwarding has ended."""
    deps = case.api.proxy.deps
    session = await deps.store.sessions.get(case.token)
    known = await deps.store.cases.get(case.id)
    assert session
    assert known
    (recording,) = await deps.store.recordings.of(session.owner, case.id)
    async with open_upstream("llamalitica", f"http://127.0.0.1:{outage.port}", lambda _: None) as upstream:
        away = replace(
            deps,
            upstreams=replace(deps.upstreams, llamalitica=Llamalitica(upstream, bytes)),
            effects=replace(deps.effects, pause=outage.pause),
        )
        await forward(known, session.identity, [(recording, SPOKEN)], away)
    (link,) = await deps.store.links.of(case.id)
    return link


@pytest.mark.parametrize(("ends_in", "waited"), [(1, [1.0]), (2, [1.0, 5.0]), (3, [1.0, 5.0, 25.0])])
async def test_speech_S05_a_platform_that_was_not_reached_is_tried_again(
    api: Api, ends_in: int, waited: list[float]
) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    async with AsyncExitStack() as stack:
        outage = Outage(ends_in, stack)
        link = await forwarded(case, outage)
        assert outage.waited == waited
        assert outage.sandbox
        assert [link.case_id] == list(outage.sandbox.llamalitica.cases)
        assert (link.state, link.cause) == ("done", None)


async def test_speech_S05_a_platform_that_stays_away_leaves_it_to_the_next_transcription(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    async with AsyncExitStack() as stack:
        link = await forwarded(case, Outage(4, stack))
    assert (link.state, link.cause) == ("failed", "llamalitica-unreachable")
    await case.transcribed()
    await settled(api)
    (linked,) = (await case.page()).json["linkedCases"]
    assert linked["state"] == "done"


async def test_speech_S05_the_report_of_the_linked_case_shows_in_the_main_ones_document(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    await case.transcribed()
    await settled(api)
    _, linked = api.sandbox.llamalitica.cases
    await api.sandbox.llamalitica.send("report.updated", linked, "Informe del audio.", {"tos": "no"})
    document = await case.document()
    assert document["generated_text"] == "Informe del audio."
    assert document["structured_data"] == {"tos": "no"}


@asynccontextmanager
async def served(folder: Path, key: str, sandbox: Sandbox) -> AsyncIterator[tuple[str, Process]]:
    """The address of a proxy in a process of its own."""
    settings = {
        "MICHIQ_SECRET_KEYS": key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_LLAMALITICA_API_URL": sandbox.llamalitica.url,
        "MICHIQ_LLAMALITICA_WEB_URL": sandbox.llamalitica.url,
        "MICHIQ_LLAMACHAT_URL": sandbox.llamachat.url,
        "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
    }
    async with command(folder, "serve", **settings) as process:
        listening = (await printed(process, '"listening"')).splitlines()[-1]
        yield json.loads(listening)["url"], process


def elsewhere(url: str, sandbox: Sandbox, http: aiohttp.ClientSession) -> Api:
    """A proxy whose parts are out of reach, in another process."""
    return Api(
        Running(url, "", cast("Deps", None), cast("Any", None), cast("Any", None), None, cast("Any", None)),
        sandbox,
        http,
        Clock(),
    )


async def test_speech_S05_N18_U01_what_was_answered_outlives_a_killed_process(
    tmp_path: Path, secret_key: str
) -> None:
    """And the linked case that was on its way is shown as ambiguous, never sent again."""
    async with run_sandbox(SandboxConfig()) as sandbox, aiohttp.ClientSession() as http:
        async with served(tmp_path, secret_key, sandbox) as (url, process):
            before = await patient(elsewhere(url, sandbox, http))
            await before.uploaded(*webm_chunks(0.5, 2))
            sandbox.llamalitica.faults.add(Fault(kind="delay", delay=60, path_prefix="/api/cases"))
            answer = await before.transcribed()
            await until(lambda: len(created(before.api)) == 2)
            process.kill()
            await process.wait()
        async with served(tmp_path, secret_key, sandbox) as (url, _):
            after = Patient(elsewhere(url, sandbox, http), before.id, before.token)
            assert await after.transcribed() == answer
            assert (await after.document())["michiq_uuid"] == before.id
            assert answer["transcription"] in (await after.document())["input"]["conversation"]
            (linked,) = (await after.page()).json["linkedCases"]
            assert linked["state"] == "ambiguous"
            assert len(transcriptions(after.api)) == 1
            assert len(created(after.api)) == 2
