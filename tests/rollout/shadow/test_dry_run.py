"""Dry runs: every flow comes to its legacy answer, its calls are checked, nothing is sent or stored."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from pydantic import RootModel
from ruamel.yaml import YAML

from proxy import jsons
from proxy.errors import Refusal, UpstreamError
from proxy.flows.deps import Deps
from proxy.flows.registry import FLOWS, SPECS
from proxy.flows.shared.caller import resolve
from proxy.jsons import dump
from proxy.mapping.loader import load_table
from proxy.rollout.shadow.dry_run import DryRun, DryUpstream, chat_answers, dry_deps, platform_answers
from proxy.rollout.shadow.openapi.description import Description, Descriptions, load_descriptions
from proxy.store import StoreError
from proxy.store.blobs.dry import DryBlobs
from proxy.store.blobs.folder import FolderBlobs
from proxy.store.blobs.s3 import S3Blobs
from proxy.store.cluster.lease import Lease
from proxy.store.sql.dry_database import DryDatabase
from proxy.store.sql.postgresql.database import PostgresqlDatabase
from proxy.store.sql.sqlite import SqliteDatabase
from proxy.store.watched_database import WatchedDatabase
from proxy.upstream.call import Budget, Call
from proxy.values import Answer, Identity, Inbound, Json
from tests.conftest import IDENTITY, ROOT, Api, bearer
from tests.contracts.description import LLAMACHAT, LLAMALITICA
from tests.flows._client import Patient, patient, settled
from tests.rollout._inbound import Part, inbound
from tests.samples import wav
from tests.store.examples import event
from tests.stores import ENGINES

DESCRIPTIONS: Final = load_descriptions()
ROUTES: Final = load_table(ROOT / "mappings", SPECS).routes
LONG: Final = "¿Por qué? " * 700
EHR: Final = b'{"id": "p-1", "name": "Ana", "tension": 1.10}'
FORM: Final = (
    Part("ehr", EHR),
    Part("conversation", "Hola, ¿qué tal?".encode()),
    Part("files", b"Informe previo.", "informe.txt", "text/plain"),
    Part("files", b"RIFF\0\0\0\0WAVE", "voz.wav"),
)


async def run(name: str, asked: Inbound, dry: DryRun) -> Answer:
    """Returns the flow's answer, once all tasks that it left running have ended."""
    answer = await run_flow(name, asked, dry.deps)
    await dry.finish(10)
    return answer


async def run_flow(name: str, asked: Inbound, deps: Deps) -> Answer:
    caller = await resolve(asked.headers, deps, makes_case=FLOWS[name].spec.makes_case)
    return await FLOWS[name].run(replace(asked, caller=caller), ROUTES[name], deps)


def by(user: Patient, *parts: Part, raw: bytes = b"") -> Inbound:
    return inbound(bearer(user.token), *parts, raw=raw, legacy_id=user.id)


def heard(api: Api) -> tuple[int, int]:
    return len(api.sandbox.llamalitica.calls), len(api.sandbox.llamachat.calls)


@asynccontextmanager
async def nothing_happens(api: Api, folder: Path) -> AsyncIterator[None]:
    """Checks that the block sends nothing to the new systems, and changes nothing that is stored."""
    await settled(api)
    while await api.proxy.deps.store.retention.last_sweep() is None:  # noqa: ASYNC110  the first one
        await asyncio.sleep(0.005)
    await api.proxy.moving.recorder.flush()
    calls, before = heard(api), await asyncio.to_thread(ENGINES.everything, folder)
    assert before["sessions"], "nothing that could change"
    yield
    assert heard(api) == calls
    assert await asyncio.to_thread(ENGINES.everything, folder) == before


def shape(body: bytes) -> dict[str, type]:
    """Returns the fields of a JSON answer with their types."""
    return {name: type(each) for name, each in jsons.load_object(body).items()}


def without(name: str, path: str) -> Descriptions:
    """Returns the descriptions, one of them without a path: calls to it are then undocumented."""
    document = YAML(typ="safe").load(ROOT / "contracts" / f"{name}.yaml")
    del document["paths"][path]
    return replace(DESCRIPTIONS, **{name: Description(name, document)})


def case_is_missed(dry: DryRun) -> bool:
    return "llamalitica:POST /api/cases:undocumented" in dry.failures


NEW_CASES: Final[dict[str, tuple[tuple[Part, ...], dict[str, str]]]] = {
    "whole": (FORM, {}),
    "only-identity": ((Part("nota", b"Hola."),), {}),  # a form without a part is refused (N16)
    "only-files": (FORM[2:], {}),
    "template": (FORM, {"template": "1"}),
    "key": (FORM, {"Idempotency-Key": "k-1"}),
    "deep": ((Part("ehr", b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"),), {}),
    "in-two-ways": ((Part("ehr", b'{"a": 1, "a": "\\ud83d"}'),), {}),
    "large": ((Part("ehr", b'{"id": "p-1", "notas": "' + b"a" * 3_000_000 + b'"}'),), {}),
    "strange-names": ((Part("files", b"a", '"' * 1000 + "ñ\r\n;", "text/plain\n"),), {}),
}


@pytest.mark.parametrize("which", NEW_CASES)
async def test_a_new_case_is_answered_as_a_real_one_and_nothing_is_made(
    which: str, api: Api, tmp_path: Path
) -> None:
    real = await api.new_case()
    parts, headers = NEW_CASES[which]
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        answer = await run("new_case", inbound({**IDENTITY, **headers}, *parts), dry)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert shape(answer.read()) == shape(dump(real))
    assert dry.failures == []


async def test_a_new_case_with_a_token_leaves_the_session_as_it_is(api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        answer = await run("new_case", inbound({**IDENTITY, **bearer(user.token)}, *FORM), dry)
    assert jsons.load_object(answer.read())["token"] == user.token
    assert dry.failures == []


async def test_a_known_idempotency_key_does_not_keep_a_new_case_from_being_judged(
    api: Api, tmp_path: Path
) -> None:
    key = {"Idempotency-Key": "k-1"}
    await api.new_case(None, **key)
    dry = dry_deps(api.proxy.deps, without("llamalitica", "/api/cases"))
    asked = inbound({**IDENTITY, **key}, *FORM)
    async with nothing_happens(api, tmp_path):
        answer = await run("new_case", asked, dry)
    assert answer.status == 200
    assert case_is_missed(dry)


async def test_what_the_description_refuses_is_told_and_the_run_goes_on(api: Api, tmp_path: Path) -> None:
    await api.new_case()
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    asked = inbound({**IDENTITY, "user_mail": "ana"}, *FORM)
    async with nothing_happens(api, tmp_path):
        answer = await run("new_case", asked, dry)
    assert answer.status == 200
    assert dry.failures == ["me:header.X-USER-EMAIL:pattern", "createCase:header.X-USER-EMAIL:pattern"]


@pytest.mark.parametrize("question", ["¿Qué le pasa?", LONG], ids=["short", "in-parts"])
@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_question_is_judged_and_answered_with_nothing(
    question: str, asked_before: bool, api: Api, tmp_path: Path
) -> None:
    user = await patient(api)
    if asked_before:
        assert (await user.call("POST", "/michiQ/query/{id}", json={"query": "¿Tos?"})).status == 200
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        answer = await run("query", by(user, raw=dump({"query": question})), dry)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert jsons.load(answer.read()) == {"response": ""}
    assert dry.failures == []


async def test_what_is_wrong_with_every_message_of_a_question_is_told_once(api: Api) -> None:
    user = await patient(api)
    dry = dry_deps(api.proxy.deps, without("llamachat", "/api/conversations/{id}/messages"))
    assert (await run("query", by(user, raw=dump({"query": LONG})), dry)).status == 200
    assert dry.failures == ["llamachat:POST /api/conversations/{id}/messages:undocumented"]


@pytest.mark.parametrize("uploaded", [(), (wav(0.1),)], ids=["first", "next"])
async def test_audio_is_taken_and_forgotten(uploaded: tuple[bytes, ...], api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    await user.uploaded(*uploaded)
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        for audio in (wav(2.0), wav(0.1)):
            answer = await run("upload_audio", by(user, Part("audioChunk", audio, "consulta.wav")), dry)
            assert answer.read().decode() == f"Archivo subido exitosamente con UUID: {user.id}"
    assert dry.failures == []


async def test_audio_without_a_file_is_refused_as_it_really_is(api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        with pytest.raises(Refusal, match="no-audio-chunk"):
            await run("upload_audio", by(user), dry)


async def test_a_recording_is_judged_measured_and_heard_as_nothing(api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    await user.uploaded(wav(2.0), filename="consulta.wav")
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        answer = await run("speech_to_text", by(user), dry)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert jsons.load(answer.read()) == {
        "transcription": "",
        "totalSpeechTextTime": "00:00:02",
        "michiq_uuid": user.id,
        "segments": [{"audioFile": "consulta.wav", "transcription": "", "time": "00:00:02"}],
        "audioFiles": ["consulta.wav"],
    }
    assert dry.failures == []


async def test_a_recording_of_no_audio_type_is_told(api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    asked = by(user, Part("audioChunk", b"no container", "notas.txt", "text/plain"))
    assert (await run_flow("upload_audio", asked, api.proxy.deps)).status == 200
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        await run("speech_to_text", by(user), dry)
    assert dry.failures == ["transcribe:body.audio:content-type"]


async def test_the_linked_case_that_goes_on_after_the_answer_is_judged_once_the_run_is_finished(
    api: Api, tmp_path: Path
) -> None:
    user = await patient(api)
    await user.uploaded(wav(0.1))
    dry = dry_deps(api.proxy.deps, without("llamalitica", "/api/cases"))
    async with nothing_happens(api, tmp_path):
        await run("speech_to_text", by(user), dry)
    assert case_is_missed(dry)


async def test_audio_that_has_its_linked_case_is_not_sent_on_again(api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    await user.uploaded(wav(0.1))
    await user.transcribed()
    dry = dry_deps(api.proxy.deps, without("llamalitica", "/api/cases"))
    async with nothing_happens(api, tmp_path):
        await run("speech_to_text", by(user), dry)
    assert dry.failures == []


@pytest.mark.parametrize("route", ["doc", "encounters", "encounter_page"])
async def test_a_record_is_read_and_an_expired_access_token_is_not_really_renewed(
    route: str, api: Api, tmp_path: Path
) -> None:
    user = await patient(api)
    api.clock.ahead = timedelta(hours=2)
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS)
    async with nothing_happens(api, tmp_path):
        answer = await run(route, by(user), dry)
    assert user.id in answer.read().decode()
    assert dry.failures == []


async def test_a_run_waits_for_no_lock_and_no_task_of_a_real_request(api: Api) -> None:
    user = await patient(api)
    deps, done = api.proxy.deps, asyncio.Event()
    case = await deps.store.cases.get(user.id)
    assert case is not None
    deps.tasks.start("real", until_set(done))
    dry = dry_deps(deps, DESCRIPTIONS)
    async with asyncio.timeout(10), deps.locks.hold("conversation", case.id, case.owner):
        assert (await run("query", by(user, raw=dump({"query": "¿Tos?"})), dry)).status == 200
    done.set()


async def until_set(done: asyncio.Event) -> None:
    await done.wait()


async def test_a_run_of_an_operator_without_llamachat_is_refused_as_it_really_is(api: Api) -> None:
    user = await patient(api)
    deps = api.proxy.deps
    without = replace(deps, upstreams=replace(deps.upstreams, llamachat=None))
    dry = dry_deps(without, DESCRIPTIONS)
    with pytest.raises(Refusal, match="no_chat"):
        await run("query", by(user, raw=dump({"query": "¿Tos?"})), dry)


async def test_a_write_that_no_flow_makes_leaves_nothing_either(api: Api, tmp_path: Path) -> None:
    user = await patient(api)
    await user.uploaded(wav(0.1))
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS).deps
    async with nothing_happens(api, tmp_path):
        await dry.store.reports.apply(event(), dry.effects.clock())
        await dry.store.journal.resolve_abandoned()
        await dry.store.links.resolve_abandoned()
        swept = await dry.store.retention.sweep(dry.effects.clock() + timedelta(days=1000), 1, 1)
        await dry.store.check()
        with pytest.raises(StoreError, match="does not write"):
            await dry.store.database.scrub()
    assert swept.cases
    assert swept.recordings
    assert swept.blobs


_WRITERS: Final = (WatchedDatabase, SqliteDatabase, PostgresqlDatabase, FolderBlobs, S3Blobs)


async def test_no_part_of_a_dry_store_has_a_way_to_the_real_writers(api: Api) -> None:
    real = api.proxy.deps.store
    # Without locks and jobs: they are of processes that serve.
    parts = real.over(real.database, real.blobs)
    writers = [each for each in reached(parts) if isinstance(each, _WRITERS)]
    dry = list(reached(dry_deps(api.proxy.deps, DESCRIPTIONS).deps.store))
    assert real.database in writers
    assert real.blobs in writers
    assert [type(each) for each in dry if any(each is writer for writer in writers)] == []
    assert len([each for each in dry if isinstance(each, DryDatabase | DryBlobs)]) == len(writers)


_ENDS: Final = (*_WRITERS, DryDatabase, DryBlobs, Lease)  # a lease shows its process, and no unit of work


def reached(part: object) -> Iterator[object]:
    """Yields a part of a store with all of its parts, down to those that read and write."""
    yield part
    if not isinstance(part, _ENDS) and type(part).__module__.startswith("proxy."):
        names = [each.name for each in fields(part)] if is_dataclass(part) else vars(part)
        for name in names:
            yield from reached(getattr(part, name))


async def test_what_a_dry_call_is_answered_with_is_a_documented_answer(api: Api) -> None:
    effects = api.proxy.deps.effects
    platform, chat = platform_answers(effects), chat_answers(effects.new_id)
    for description, answers in ((LLAMALITICA, platform), (LLAMACHAT, chat)):
        for (method, path), make in answers.items():
            response = description.operations[path][method]["responses"]["200"]
            assert description.errors(response["content"]["application/json"]["schema"], make()) == [], path


async def test_an_access_token_of_a_dry_run_is_signed_by_nobody_and_lives_for_an_hour(api: Api) -> None:
    dry = dry_deps(api.proxy.deps, DESCRIPTIONS).deps
    user = await dry.upstreams.llamalitica.me(Identity("key-1", "ana@clinica.example", None))
    assert jwt.get_unverified_header(user.access_token)["alg"] == "none"
    assert user.expires_at is not None
    assert timedelta(minutes=59) < user.expires_at - dry.effects.clock() <= timedelta(hours=1)


async def test_a_call_that_nobody_knows_an_answer_to_fails() -> None:
    failures: list[str] = []
    upstream = DryUpstream(DESCRIPTIONS.llamachat, {}, read_json, failures)
    call = Call("GET", "/api/models", Budget(1, 1, 1), {"X-Api-Key": "k"})
    with pytest.raises(UpstreamError, match="llamachat-undocumented"):
        await upstream.fetch(call, RootModel[Any])
    assert failures == ["llamachat:GET /api/models:undocumented"]


async def read_json(data: bytes) -> Json:
    return jsons.load(data)
