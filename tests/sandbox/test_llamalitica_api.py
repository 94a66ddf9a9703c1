"""The new API's two calls: their answers, records and refusals."""

import hashlib
import json
from io import BytesIO
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession, FormData, MultipartWriter

from proxy.sandbox import Sandbox
from tests.sandbox.conftest import KEY, SetClock

IDENTITY = {"X-API-KEY": KEY, "X-USER-EMAIL": "ana@hospital.es"}
PATIENT = '{"id": "42", "name": "Ana", "other-clinical-data": {"age": 45}}'


def form(*parts: tuple[str, str | bytes | BytesIO, str | None], metadata: str | None = PATIENT) -> FormData:
    made = FormData(quote_fields=False, default_to_multipart=True)
    if metadata is not None:
        made.add_field("patientMetadata", metadata, content_type="application/json")
    for name, value, filename in parts:
        made.add_field(name, value, filename=filename)
    return made


async def me(sandbox: Sandbox, http: ClientSession, **headers: str) -> tuple[int, Any]:
    given = IDENTITY | {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.get(f"{sandbox.llamalitica.url}/api/users/me", headers=given) as answer:
        return answer.status, await answer.json()


async def post(sandbox: Sandbox, http: ClientSession, data: Any, **headers: str) -> tuple[int, Any]:
    given = IDENTITY | {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.post(f"{sandbox.llamalitica.url}/api/cases", data=data, headers=given) as answer:
        return answer.status, await answer.json()


async def test_me_answers_the_documented_user(sandbox: Sandbox, http: ClientSession) -> None:
    status, body = await me(sandbox, http, X_ORGANIZATION="Clínica")
    user = body["user"]
    assert status == 200
    assert user.keys() == {
        "accessToken", "id", "email", "name", "organization", "specialities", "agents",
    }  # fmt: skip
    assert user["organization"].keys() == {"id", "name", "settings"}
    assert (user["email"], user["organization"]["name"]) == ("ana@hospital.es", "Clínica")
    assert all(agent.keys() == {"id", "name", "description", "type"} for agent in user["agents"])


async def test_the_access_token_is_a_signed_jwt_with_the_configured_lifetime(
    sandbox: Sandbox, http: ClientSession, clock: SetClock
) -> None:
    _, body = await me(sandbox, http)
    claims = jwt.decode(
        body["user"]["accessToken"],
        sandbox.llamalitica.config.jwt_secret,
        algorithms=["HS256"],
        options={"verify_exp": False},
    )
    assert claims["sub"] == body["user"]["id"]
    assert claims["email"] == "ana@hospital.es"
    assert claims["org"] == body["user"]["organization"]["id"]
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["iat"] == clock.now.timestamp()


async def test_each_access_token_is_new_and_the_user_stays_the_same(
    sandbox: Sandbox, http: ClientSession
) -> None:
    first, second = (await me(sandbox, http))[1]["user"], (await me(sandbox, http))[1]["user"]
    assert first["accessToken"] != second["accessToken"]
    assert first["id"] == second["id"]


async def test_without_x_organization_the_user_works_in_the_parent_organization(
    sandbox: Sandbox, http: ClientSession
) -> None:
    parent, child = (await me(sandbox, http))[1], (await me(sandbox, http, X_ORGANIZATION="A"))[1]
    assert parent["user"]["organization"]["id"] != child["user"]["organization"]["id"]
    assert set(sandbox.llamalitica.accounts.organizations) == {None, "A"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"X-USER-EMAIL": "ana@hospital.es"}, 401, id="no key"),
        pytest.param(IDENTITY | {"X-API-KEY": "another"}, 401, id="unknown key"),
        pytest.param({"X-API-KEY": KEY}, 401, id="no mail"),
        pytest.param(IDENTITY | {"X-USER-EMAIL": "ana"}, 401, id="a mail without @"),
        pytest.param(IDENTITY | {"X-ORGANIZATION": ""}, 400, id="an empty organization"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/users/me"), ("POST", "/api/cases")])
async def test_an_identity_that_is_not_as_documented_is_refused(
    sandbox: Sandbox, http: ClientSession, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with http.request(method, f"{sandbox.llamalitica.url}{path}", headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json()).keys() == {"message"}


async def test_a_repeated_identity_header_is_refused(sandbox: Sandbox, http: ClientSession) -> None:
    twice = [*IDENTITY.items(), ("X-API-KEY", KEY)]
    async with http.get(f"{sandbox.llamalitica.url}/api/users/me", headers=twice) as answer:
        assert answer.status == 400


async def test_a_case_is_answered_in_the_documented_shape(sandbox: Sandbox, http: ClientSession) -> None:
    status, body = await post(
        sandbox, http, form(("files", b"%PDF", "a;b;c.pdf"), ("files", "hola", "ñ.txt"))
    )
    assert status == 200
    assert body.keys() == {"caseId", "patientId", "title", "createdAt", "files"}
    assert body["createdAt"] == "2025-03-21T10:00:00.000Z"
    assert [file["name"] for file in body["files"]] == ["a;b;c.pdf", "ñ.txt"]
    assert all(f.keys() == {"id", "name", "type", "size", "status", "addedAt"} for f in body["files"])


async def test_a_case_keeps_digests_metadata_and_owner(sandbox: Sandbox, http: ClientSession) -> None:
    _, body = await post(sandbox, http, form(("files", b"\x00\xff", "x.bin")), X_ORGANIZATION="Clínica")
    case = sandbox.llamalitica.cases[body["caseId"]]
    assert case.patient_metadata == json.loads(PATIENT)
    assert (case.user.email, case.user.organization.name) == ("ana@hospital.es", "Clínica")
    assert [(f.size, f.sha256) for f in case.files] == [(2, hashlib.sha256(b"\x00\xff").hexdigest())]
    assert case.organization_header == "Clínica".encode()


async def test_a_case_needs_no_files(sandbox: Sandbox, http: ClientSession) -> None:
    status, body = await post(sandbox, http, form())
    assert (status, body["files"]) == (200, [])


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(None, id="missing"),
        pytest.param("{", id="not JSON"),
        pytest.param("[]", id="not an object"),
        pytest.param('{"name": "Ana"}', id="no id"),
        pytest.param('{"id": "", "name": "Ana"}', id="empty id"),
        pytest.param('{"id": 42, "name": "Ana"}', id="id not a string"),
        pytest.param('{"id": "42"}', id="no name"),
        pytest.param('{"id": "42", "name": "  "}', id="blank name"),
    ],
)
async def test_patient_metadata_that_is_not_as_documented_makes_no_case(
    sandbox: Sandbox, http: ClientSession, metadata: str | None
) -> None:
    status, body = await post(sandbox, http, form(("files", "x", "x.txt"), metadata=metadata))
    assert (status, body.keys()) == (400, {"message"})
    assert not sandbox.llamalitica.cases


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(("patientMetadata", PATIENT, None), id="patientMetadata twice"),
        pytest.param(("file", "x", "x.txt"), id="an unknown part"),
        pytest.param(("files", "x", None), id="a file without a filename"),
    ],
)
async def test_a_part_that_is_not_as_documented_makes_no_case(
    sandbox: Sandbox, http: ClientSession, part: tuple[str, str, str | None]
) -> None:
    assert (await post(sandbox, http, form(part)))[0] == 400
    assert not sandbox.llamalitica.cases


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"{}", "application/json", id="not a form"),
        pytest.param(b"--x--\r\n", "multipart/form-data", id="no boundary"),
        pytest.param(b"garbage", "multipart/form-data; boundary=x", id="no delimiter"),
        pytest.param(
            b'--x\r\nContent-Disposition: form-data; name="patientMetadata"\r\n\r\n{"id":"1","name":"A"}',
            "multipart/form-data; boundary=x",
            id="no closing delimiter",
        ),
        pytest.param(
            b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            id="a part without a name",
        ),
    ],
)
async def test_a_broken_form_makes_no_case(
    sandbox: Sandbox, http: ClientSession, body: bytes, content_type: str
) -> None:
    status, _ = await post(sandbox, http, body, Content_Type=content_type)
    assert status == 400
    assert not sandbox.llamalitica.cases


async def test_an_encoded_body_is_refused(sandbox: Sandbox, http: ClientSession) -> None:
    with MultipartWriter("form-data") as writer:
        writer.append("x").set_content_disposition("form-data", name="patientMetadata")
    status, _ = await post(sandbox, http, writer, Content_Encoding="gzip")
    assert status == 415


async def test_a_key_without_credits_gets_402(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamalitica.out_of_credits.add(KEY)
    assert (await post(sandbox, http, form()))[0] == 402
    assert not sandbox.llamalitica.cases


async def test_a_file_over_the_recommended_size_is_accepted(sandbox: Sandbox, http: ClientSession) -> None:
    size = 11 * 1024 * 1024
    status, body = await post(sandbox, http, form(("files", BytesIO(bytes(size)), "large.bin")))
    assert (status, body["files"][0]["size"]) == (200, size)
