"""Calls that are never sent, checked by the descriptions: each broken rule has its code, and no value."""

import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import pytest

from proxy import jsons
from proxy.rollout.shadow.openapi.description import Description, load_descriptions
from proxy.spool import PIECE, Bytes
from proxy.upstream.call import Budget, Call, M, OutgoingBody
from proxy.upstream.form import Part, form
from proxy.upstream.llamachat import LlamaChat
from proxy.upstream.llamalitica import Llamalitica
from proxy.values import Content, Identity, Json, OutgoingFile

DESCRIPTIONS: Final = load_descriptions()
IDENTITY: Final = Identity("key-1", "ana@clinica.example", "Clínica Norte")
PATIENT: Final = Bytes(b'{"id":"p-1","name":"Ana","other-clinical-data":{"edad":40}}')
PDF: Final = OutgoingFile('informe "ñ".pdf', "application/pdf", Bytes(b"%PDF-1.7\r\n--x\r\n"))
WAYS: Final = {
    "paths": {"/a": {"get": {"operationId": "a"}}},
    "security": [{"one": [], "other": []}, {"token": []}],
    "components": {
        "securitySchemes": {
            "one": {"type": "apiKey", "in": "header", "name": "X-One"},
            "other": {"type": "apiKey", "in": "header", "name": "X-Other"},
            "token": {"type": "http", "scheme": "bearer"},
        }
    },
}
ID: Final = "64f1a2b3c4d5e6f7a8b9c0d1"

Change: TypeAlias = Callable[[Call], Call]


class Caught(Exception):
    """Ends a client's call once it is recorded."""


class Catcher:
    """Takes a call from a client instead of an upstream."""

    call: Call

    async def fetch(self, call: Call, model: type[M]) -> M:
        self.call = call
        raise Caught


def fixed(size: int) -> bytes:
    return b"\x5a" * size


async def caught(work: Callable[[Llamalitica, LlamaChat], Awaitable[Any]]) -> Call:
    """Returns the call that a client makes."""
    catcher = Catcher()
    with pytest.raises(Caught):
        await work(Llamalitica(catcher, fixed), LlamaChat(catcher, fixed))
    return catcher.call


def wav(content_type: str = "audio/wav", content: Content | None = None) -> OutgoingFile:
    return OutgoingFile("visita.wav", content_type, content or Bytes(b"RIFF1234WAVE"))


CALLS: Final[dict[str, Callable[[Llamalitica, LlamaChat], Awaitable[Any]]]] = {
    "me": lambda platform, _: platform.me(IDENTITY),
    "createCase": lambda platform, _: platform.create_case(IDENTITY, PATIENT, [PDF, PDF]),
    "startConversation": lambda _, chat: chat.start("chat-key"),
    "sendMessage": lambda _, chat: chat.send("chat-key", ID, "¿Qué le pasa?"),
    "transcribe": lambda _, chat: chat.transcribe("chat-key", "v.wav", "audio/wav", Bytes(b"RIFF")),
}


async def read_json(data: bytes) -> Json:
    return jsons.load(data)


async def judged(call: Call) -> list[str]:
    chat = call.path.startswith(("/api/conversations", "/api/transcription"))
    description = DESCRIPTIONS.llamachat if chat else DESCRIPTIONS.llamalitica
    return await description.faults(call, read_json)


def header(name: str, value: str | None) -> Change:
    def changed(call: Call) -> Call:
        others = {key: each for key, each in call.headers.items() if key != name}
        assert len(others) < len(call.headers), "no such header"
        return replace(call, headers=others if value is None else {**others, name: value})

    return changed


def body(content_type: str, content: bytes) -> Change:
    return lambda call: replace(call, body=OutgoingBody(content_type, Bytes(content)))


def parts(*given: Part) -> Change:
    return lambda call: replace(call, body=form(given, fixed))


def json(value: Json) -> Change:
    return body("application/json", jsons.dump(value))


def raw_form(*lines: bytes) -> Change:
    return body("multipart/form-data; boundary=x", b"\r\n".join(lines))


def patient(content: bytes) -> Change:
    return parts(("patientMetadata", Bytes(content)))


@pytest.mark.parametrize("operation", CALLS)
async def test_what_the_clients_send_is_as_described(operation: str) -> None:
    assert await judged(await caught(CALLS[operation])) == []


async def test_the_parent_organization_and_a_case_without_files_are_as_described() -> None:
    parent = replace(IDENTITY, organization=None)
    for work in (
        lambda platform, _: platform.me(parent),
        lambda platform, _: platform.create_case(parent, PATIENT, []),
    ):
        assert await judged(await caught(work)) == []


@pytest.mark.parametrize(
    ("operation", "change", "codes"),
    [
        ("me", header("X-API-KEY", None), ["me:header.X-API-KEY:missing"]),
        ("me", header("X-API-KEY", ""), ["me:header.X-API-KEY:missing"]),
        ("me", header("X-USER-EMAIL", None), ["me:header.X-USER-EMAIL:missing"]),
        ("me", header("X-USER-EMAIL", "ana"), ["me:header.X-USER-EMAIL:pattern"]),
        ("me", header("X-ORGANIZATION", ""), ["me:header.X-ORGANIZATION:minLength"]),
        ("me", json({}), ["me:body:undocumented"]),
        ("me", lambda call: replace(call, method="PUT"), ["llamalitica:PUT /api/users/me:undocumented"]),
        ("me", lambda call: replace(call, path="/api/users"), ["llamalitica:GET /api/users:undocumented"]),
        ("createCase", lambda call: replace(call, body=None), ["createCase:body:missing"]),
        ("createCase", header("X-API-KEY", None), ["createCase:header.X-API-KEY:missing"]),
        ("createCase", json({"id": "p-1", "name": "Ana"}), ["createCase:body:content-type"]),
        ("createCase", body("", b""), ["createCase:body:content-type"]),
        ("createCase", body("multipart/form-data", b"--x--\r\n"), ["createCase:body:unreadable"]),
        ("createCase", raw_form(b"--x", b"", b"cut"), ["createCase:body:unreadable"]),
        ("createCase", parts(("files", PDF)), ["createCase:body.patientMetadata:missing"]),
        ("createCase", patient(b'{"id":"","name":"Ana"}'), ["createCase:body.patientMetadata.id:minLength"]),
        ("createCase", patient(b'{"id":7,"name":"Ana"}'), ["createCase:body.patientMetadata.id:type"]),
        (
            "createCase",
            patient(b'{"Ana":"p-1"}'),
            ["createCase:body.patientMetadata.id:missing", "createCase:body.patientMetadata.name:missing"],
        ),
        ("createCase", patient(b"[]"), ["createCase:body.patientMetadata:type"]),
        ("createCase", patient(b"{"), ["createCase:body.patientMetadata:unreadable"]),
        ("createCase", patient(b"\xff"), ["createCase:body.patientMetadata:unreadable"]),
        (
            "createCase",
            parts(("patientMetadata", PATIENT), ("patientMetadata", PATIENT)),
            ["createCase:body.patientMetadata:repeated"],
        ),
        (
            "createCase",
            parts(("patientMetadata", PATIENT), ("Ana García", PDF)),
            ["createCase:body.*:undocumented"],
        ),
        (
            "createCase",
            parts(("patientMetadata", PATIENT), ("Ana", Bytes(b""))),
            ["createCase:body.*:undocumented"],
        ),
        (
            "createCase",
            parts(("patientMetadata", PATIENT), ("files", Bytes(b""))),
            ["createCase:body.files:not-a-file"],
        ),
        (
            "createCase",
            parts(("patientMetadata", OutgoingFile("p", "text/plain", PATIENT))),
            ["createCase:body.patientMetadata:content-type"],
        ),
        ("startConversation", header("X-Api-Key", None), ["startConversation:header.X-Api-Key:missing"]),
        ("startConversation", json({}), ["startConversation:body:undocumented"]),
        ("sendMessage", json({"content": ""}), ["sendMessage:body.content:minLength"]),
        ("sendMessage", json({"content": "a" * 2001}), ["sendMessage:body.content:maxLength"]),
        ("sendMessage", json({"content": None}), ["sendMessage:body.content:type"]),
        ("sendMessage", json({"text": "Hola"}), ["sendMessage:body.content:missing"]),
        ("sendMessage", json("Hola"), ["sendMessage:body:type"]),
        ("sendMessage", body("application/json", b"{"), ["sendMessage:body:unreadable"]),
        ("sendMessage", body("text/plain", b"Hola"), ["sendMessage:body:content-type"]),
        ("sendMessage", lambda call: replace(call, id=None), ["sendMessage:path.id:missing"]),
        ("sendMessage", lambda call: replace(call, id="../x"), ["sendMessage:path.id:pattern"]),
        ("transcribe", parts(("audio", wav("text/plain"))), ["transcribe:body.audio:content-type"]),
        ("transcribe", parts(("audio", wav("audio"))), ["transcribe:body.audio:content-type"]),
        ("transcribe", parts(("audio", wav()), ("audio", wav())), ["transcribe:body.audio:repeated"]),
        ("transcribe", parts(("audio", Bytes(b"RIFF"))), ["transcribe:body.audio:not-a-file"]),
        ("transcribe", parts(), ["transcribe:body.audio:missing"]),
        (
            "transcribe",
            parts(("file", wav())),
            ["transcribe:body.*:undocumented", "transcribe:body.audio:missing"],
        ),
    ],
)
async def test_a_broken_call_has_the_code_of_each_rule_it_breaks(
    operation: str, change: Change, codes: list[str]
) -> None:
    assert sorted(await judged(change(await caught(CALLS[operation])))) == sorted(codes)


async def test_all_that_is_wrong_with_a_call_is_told_at_once() -> None:
    call = await caught(CALLS["createCase"])
    assert await judged(replace(call, headers={}, body=None)) == [
        "createCase:header.X-API-KEY:missing",
        "createCase:header.X-USER-EMAIL:missing",
        "createCase:body:missing",
    ]


async def test_one_of_several_ways_to_say_who_calls_is_enough() -> None:
    ways = Description("ways", WAYS)
    call = Call("GET", "/a", Budget(1, 1, 1), {})
    for headers, codes in (
        ({"X-One": "1"}, ["a:header.X-Other:missing"]),
        ({"X-One": "1", "X-Other": "1"}, []),
        ({"Authorization": "Bearer t"}, []),
        ({}, ["a:header.X-One:missing", "a:header.X-Other:missing"]),
    ):
        assert await ways.faults(replace(call, headers=headers), read_json) == codes


async def test_the_name_of_a_header_is_the_same_in_any_case() -> None:
    call = await caught(CALLS["me"])
    assert (
        await judged(replace(call, headers={name.lower(): each for name, each in call.headers.items()})) == []
    )


@pytest.mark.parametrize("content_type", ["audio/webm;codecs=opus", "AUDIO/MP4", "application/octet-stream"])
async def test_a_type_that_the_description_has_a_pattern_for_is_as_described(content_type: str) -> None:
    call = await caught(CALLS["transcribe"])
    assert await judged(parts(("audio", wav(content_type)))(call)) == []


class Long:
    """64 MiB that are nowhere, announced as `said` more."""

    def __init__(self, said: int = 0) -> None:
        self.size = 1024 * PIECE + said

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield bytes(PIECE)


async def test_a_large_file_is_read_without_being_held() -> None:
    call = parts(("audio", wav(content=Long())))(await caught(CALLS["transcribe"]))
    tracemalloc.start()
    try:
        assert await judged(call) == []
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("said", [-1, 1])
async def test_a_body_of_another_length_than_it_says_is_told(said: int) -> None:
    call = parts(("audio", wav(content=Long(said))))(await caught(CALLS["transcribe"]))
    assert await judged(call) == ["transcribe:body:length"]
