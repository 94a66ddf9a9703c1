"""The client of Llamalitica: users, and cases that are made once."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import jwt
import pytest
from multipart import MultipartParser, MultipartPart

from proxy.errors import UpstreamError
from proxy.headers import media_type
from proxy.spool import Bytes
from proxy.upstream import open_upstreams
from proxy.upstream.call import CallRecord, OnCall
from proxy.upstream.llamalitica import CreatedCase, Llamalitica, UserSession, expiry
from proxy.values import Identity, Json, OutgoingFile
from tests.upstream.wire import Request, answer, answering, fixed, ignore, scripted, silence

ANA = Identity(api_key="key-1", user="ana@example.org", organization="Clínica")
EXPIRY = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKEN = jwt.encode({"sub": "u1", "exp": EXPIRY}, "a secret of thirty-two characters", algorithm="HS256")

USER: dict[str, Json] = {
    "accessToken": TOKEN,
    "id": "user-1",
    "email": "ana@example.org",
    "name": "Ana",
    "organization": {"id": "org-1", "name": "Clínica", "settings": {"a": 1}},
    "specialities": ["cardiology"],
    "agents": [{"id": "agent-1", "name": "A", "description": "", "type": "report"}],
}
CASE: dict[str, Json] = {
    "caseId": "case-1",
    "patientId": "p 1",
    "title": "Ana",
    "createdAt": "2024-03-21T10:00:00.123Z",
    "files": [{"id": "f1", "name": "a.pdf", "type": "pdf", "size": 1, "status": "ok", "addedAt": "2024"}],
}


def said(value: Json) -> bytes:
    return answer(json.dumps(value).encode())


def without(value: dict[str, Json], key: str) -> dict[str, Json]:
    return {name: item for name, item in value.items() if name != key}


@asynccontextmanager
async def client_of(url: str, on_call: OnCall = ignore) -> AsyncIterator[Llamalitica]:
    async with open_upstreams(
        llamalitica_url=url, llamachat_url=None, legacy_url=None, randomness=fixed, on_call=on_call
    ) as upstreams:
        assert upstreams.llamachat is None
        yield upstreams.llamalitica


async def user_said(value: Json) -> UserSession:
    async with answering(said(value)) as wire, client_of(wire.url) as llamalitica:
        return await llamalitica.me(ANA)


async def case_said(value: Json) -> CreatedCase:
    async with answering(said(value)) as wire, client_of(wire.url) as llamalitica:
        return await llamalitica.create_case(ANA, Bytes(b"{}"), [])


def identity_of(request: Request) -> list[bytes | None]:
    return [request.header(name) for name in (b"X-API-KEY", b"X-USER-EMAIL", b"X-ORGANIZATION")]


async def test_me_gives_token_expiry_and_ids() -> None:
    assert await user_said({"user": USER}) == UserSession(
        access_token=TOKEN,
        expires_at=EXPIRY,
        user_id="user-1",
        organization_id="org-1",
        organization_name="Clínica",
        agents=("agent-1",),
    )


@pytest.mark.parametrize(
    "value",
    [
        USER,
        {"user": None},
        {"user": without(USER, "accessToken")},
        {"user": USER | {"accessToken": ""}},
        {"user": USER | {"accessToken": None}},
        {"user": USER | {"accessToken": "two words"}},
        {"user": USER | {"accessToken": "línea"}},
        {"user": without(USER, "id")},
        {"user": USER | {"id": 7}},
        {"user": without(USER, "organization")},
        {"user": USER | {"agents": [{"name": "without an id"}]}},
    ],
)
async def test_me_G08_another_shape_is_garbage(value: Json) -> None:
    with pytest.raises(UpstreamError, match=r"^upstream_failed \(llamalitica-garbage\)$"):
        await user_said(value)


async def test_me_N02_goes_out_with_the_three_identity_headers() -> None:
    async with answering(said({"user": USER})) as wire, client_of(wire.url) as llamalitica:
        await llamalitica.me(ANA)
        assert wire.requests[0].line == b"GET /api/users/me HTTP/1.1"
        assert identity_of(wire.requests[0]) == [b"key-1", b"ana@example.org", "Clínica".encode()]


async def test_N02_the_organization_is_left_out_only_when_there_is_none() -> None:
    parent = Identity(api_key="key-1", user="ana@example.org", organization=None)
    async with answering(said({"user": USER}), said(CASE)) as wire, client_of(wire.url) as llamalitica:
        await llamalitica.me(parent)
        await llamalitica.create_case(parent, Bytes(b"{}"), [])
        assert [request.header(b"X-ORGANIZATION") for request in wire.requests] == [None, None]


async def test_me_a_call_that_did_not_arrive_is_made_once_more() -> None:
    records: list[CallRecord] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(said({"user": USER}))

    def accept_after(record: CallRecord) -> None:
        records.append(record)
        wire.accept()

    async with scripted(script, refusing=True) as wire, client_of(wire.url, accept_after) as llamalitica:
        assert (await llamalitica.me(ANA)).user_id == "user-1"
    assert [record.cause for record in records] == ["llamalitica-unreachable", None]


async def test_me_a_call_that_does_not_arrive_twice_is_given_up() -> None:
    records: list[CallRecord] = []
    async with scripted(silence, refusing=True) as wire, client_of(wire.url, records.append) as llamalitica:
        with pytest.raises(UpstreamError, match="llamalitica-unreachable"):
            await llamalitica.me(ANA)
    assert len(records) == 2


async def test_me_a_call_that_was_answered_is_not_made_again() -> None:
    async with answering(answer(b"", "500 No")) as wire, client_of(wire.url) as llamalitica:
        with pytest.raises(UpstreamError, match="llamalitica-500"):
            await llamalitica.me(ANA)
        assert len(wire.requests) == 1


@pytest.mark.parametrize("refusing", [True, False], ids=["refused", "cut"])
async def test_create_case_N17_a_failed_call_is_never_made_again(refusing: bool) -> None:
    records: list[CallRecord] = []

    async def cut(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await wire.read(reader)

    async with scripted(cut, refusing=refusing) as wire, client_of(wire.url, records.append) as llamalitica:
        with pytest.raises(UpstreamError) as caught:
            await llamalitica.create_case(ANA, Bytes(b"{}"), [])
        assert caught.value.arrived is not refusing
        assert len(records) == 1
        assert len(wire.requests) == (0 if refusing else 1)


async def test_create_case_N10_the_form_holds_the_metadata_and_every_file_in_order() -> None:
    metadata = '{"id":"p 1","name":"Ána"}'.encode()
    files = [
        OutgoingFile("análisis.pdf", "application/pdf", Bytes(b"%PDF-1\r\n\x00\xff")),
        OutgoingFile("conversation.txt", "text/plain; charset=utf-8", Bytes("Hola, ¿qué tal?".encode())),
        OutgoingFile("empty.txt", "text/plain", Bytes(b"")),
    ]
    async with answering(said(CASE)) as wire, client_of(wire.url) as llamalitica:
        await llamalitica.create_case(ANA, Bytes(metadata), files)
        (request,) = wire.requests
    assert request.line == b"POST /api/cases HTTP/1.1"
    assert [(part.name, part.filename, part.raw) for part in parts_of(request)] == [
        ("patientMetadata", None, metadata),
        ("files", "análisis.pdf", b"%PDF-1\r\n\x00\xff"),
        ("files", "conversation.txt", "Hola, ¿qué tal?".encode()),
        ("files", "empty.txt", b""),
    ]
    assert identity_of(request) == [b"key-1", b"ana@example.org", "Clínica".encode()]


def parts_of(request: Request) -> list[MultipartPart]:
    _, parameters = media_type((request.header(b"Content-Type") or b"").decode())
    return list(MultipartParser(io.BytesIO(request.body), parameters["boundary"], strict=True))


async def test_create_case_gives_ids_title_time_and_files() -> None:
    assert await case_said(CASE) == CreatedCase(
        case_id="case-1",
        patient_id="p 1",
        title="Ana",
        created_at=datetime(2024, 3, 21, 10, 0, 0, 123000, UTC),
        files=({"id": "f1", "name": "a.pdf", "type": "pdf", "size": 1, "status": "ok", "addedAt": "2024"},),
    )


@pytest.mark.parametrize(
    "value",
    [
        [],
        *(without(CASE, key) for key in ("caseId", "patientId", "title", "createdAt")),
        *(CASE | {"caseId": name} for name in ("", "a/b", "..", "a\n", "ñ", "a" * 65, 7)),
        *(CASE | {"createdAt": time} for time in ("", "yesterday", 1711015200, "0001-01-01T00:00:00+14:00")),
        CASE | {"files": {}},
    ],
)
async def test_create_case_G03_G08_another_shape_is_garbage_that_may_have_made_a_case(value: Json) -> None:
    with pytest.raises(UpstreamError, match=r"^upstream_failed \(llamalitica-garbage\)$") as caught:
        await case_said(value)
    assert caught.value.arrived


@pytest.mark.parametrize(
    "time",
    ["2024-03-21T10:00:00Z", "2024-03-21T12:00:00+02:00", "2024-03-21T10:00:00", "2024-03-21 10:00:00.000Z"],
)
async def test_create_case_its_time_is_in_utc(time: str) -> None:
    made = await case_said(CASE | {"createdAt": time})
    assert made.created_at == datetime(2024, 3, 21, 10, tzinfo=UTC)
    assert made.created_at.tzinfo is UTC


def unsigned(claims: str) -> str:
    """A JWT whose claims are any text."""
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (b'{"alg":"HS256"}', claims.encode(), b"x")
    )


def test_expiry_G05_is_read_from_an_expired_token_as_well() -> None:
    assert expiry(unsigned('{"exp": 86400}')) == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "claims",
    [
        "{}",
        "[]",
        "{",
        '{"exp": null}',
        '{"exp": "1893553445"}',
        '{"exp": true}',
        '{"exp": NaN}',
        '{"exp": Infinity}',
        '{"exp": 1e300}',
        '{"exp": -1e300}',
        pytest.param('{"exp": ' + "9" * 5000 + "}", id="many digits"),
        pytest.param('{"exp": ' + "[" * 100_000 + "}", id="many levels"),
    ],
)
def test_expiry_G05_of_claims_without_a_time_is_none(claims: str) -> None:
    assert expiry(unsigned(claims)) is None


@pytest.mark.parametrize("token", ["opaque", "a.b.c"])
def test_expiry_G05_of_a_token_that_is_no_jwt_is_none(token: str) -> None:
    assert expiry(token) is None


def test_G10_results_show_neither_token_nor_names() -> None:
    session = UserSession(TOKEN, None, "user-1", "org-1", "Clínica", ())
    case = CreatedCase("case-1", "Juan", "Juan Perez", EXPIRY, ({"name": "Juan"},))
    assert TOKEN not in repr(session)
    assert "Clínica" not in repr(session)
    assert "Juan" not in repr(case)
