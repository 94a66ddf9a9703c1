"""The legacy server's statuses, texts and shapes, which the proxy is later compared with."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from aiohttp import ClientSession

from proxy.sandbox import Sandbox
from tests import samples
from tests.sandbox.conftest import SetClock
from tests.sandbox.michiq_client import EHR, IDENTITY, Client, Told, legacy_form

BAD_TOKEN = "Authorization token missing or invalid"
TEXT = "text/plain; charset=utf-8"
FIELDS = {
    "MichiqUUID": "michiq_uuid",
    "Timestamp": "timestamp",
    "Username": "username",
    "OrganizationID": "organization_id",
    "TokensGenerated": "tokens_generated",
    "TokensInput": "tokens_input",
    "Cost": "cost",
    "RuntimeMs": "runtime_ms",
    "Temperature": "temperature",
    "Input": "input",
    "StructuredData": "structured_data",
}


@pytest.fixture
def anyone(sandbox: Sandbox, http: ClientSession) -> Client:
    return Client(http, sandbox.michiq.url)


def raw_form(content: bytes, times: int = 1) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="x.txt"\r\n\r\n%s\r\n' % content
    return part * times + b"--x--\r\n"


def text(status: int, said: str) -> tuple[int, str, str]:
    return status, TEXT, said


def told(answer: Told) -> tuple[int, str, str]:
    return answer.status, answer.content_type, answer.text


async def test_a_new_case_answers_the_documented_keys(anyone: Client) -> None:
    made = await anyone.new_case(legacy_form(("files", "uno dos", "a.txt"), conversation="uno dos tres"))
    assert made.keys() == {"michiq_uuid", "token", "message", "voice", "ehr", "documents"}
    assert made["message"] == "You are inside llamalitica services"
    assert (made["voice"], made["documents"]) == (3, 2)


async def test_the_text_of_a_pdf_counts(anyone: Client) -> None:
    form = legacy_form(("files", samples.pdf(["uno dos tres cuatro"]), "a.pdf"))
    assert (await anyone.new_case(form))["documents"] == 4


@pytest.mark.parametrize("missing", ["API_KEY", "user_mail", "organization"])
async def test_a_new_case_without_an_identity_header_is_unauthorized(anyone: Client, missing: str) -> None:
    headers = {name: value for name, value in IDENTITY.items() if name != missing}
    answer = await anyone.ask("POST", "/michiQ/newCase", data=legacy_form(), headers=headers)
    assert told(answer) == text(401, "Unauthorized")


async def test_an_unknown_key_is_unauthorized(anyone: Client) -> None:
    headers = IDENTITY | {"API_KEY": "another"}
    answer = await anyone.ask("POST", "/michiQ/newCase", data=legacy_form(), headers=headers)
    assert told(answer) == text(401, "Unauthorized")


async def test_two_spellings_of_an_identity_header_that_differ_are_refused(anyone: Client) -> None:
    headers = IDENTITY | {"user-mail": "eva@hospital.es"}
    assert (await anyone.ask("POST", "/michiQ/newCase", data=legacy_form(), headers=headers)).status == 400


async def test_a_valid_token_is_given_back(anyone: Client) -> None:
    client, _ = await anyone.signed_in()
    assert (await client.new_case())["token"] == client.token


@pytest.mark.parametrize("authorization", ["Bearer forged", "Basic abc"])
async def test_a_new_case_with_a_token_that_is_not_valid_is_unauthorized(
    anyone: Client, authorization: str
) -> None:
    headers = IDENTITY | {"Authorization": authorization}
    answer = await anyone.ask("POST", "/michiQ/newCase", data=legacy_form(), headers=headers)
    assert told(answer) == text(401, "Unauthorized")


@pytest.mark.parametrize("authorization", ["", "Bearer", "bearer "])
async def test_a_new_case_with_an_empty_header_or_a_bare_bearer_begins_a_session(
    anyone: Client, authorization: str
) -> None:
    headers = IDENTITY | {"Authorization": authorization}
    answer = await anyone.ask("POST", "/michiQ/newCase", data=legacy_form(), headers=headers)
    assert answer.status == 200


async def test_a_new_case_with_another_users_token_is_unauthorized(anyone: Client) -> None:
    client, _ = await anyone.signed_in("eva@hospital.es")
    answer = await client.ask("POST", "/michiQ/newCase", data=legacy_form(), headers=IDENTITY)
    assert told(answer) == text(401, "Unauthorized")


@pytest.mark.parametrize("ehr", ["{", "[]", "7", "", b'{"a": "\xff"}', '{"a": NaN}'])
async def test_an_ehr_that_is_no_json_object_is_an_error(
    anyone: Client, sandbox: Sandbox, ehr: str | bytes
) -> None:
    answer = await anyone.ask("POST", "/michiQ/newCase", data=legacy_form(ehr=ehr), headers=IDENTITY)
    assert told(answer) == text(500, "Error al leer la historia clínica")
    assert not sandbox.michiq.encounters


async def test_an_ehr_may_be_a_plain_field_or_absent(anyone: Client) -> None:
    plain = await anyone.new_case(legacy_form(("ehr", EHR, None), ehr=None))
    absent = await anyone.new_case(legacy_form(ehr=None))
    assert (plain["ehr"] > 0, absent["ehr"]) == (True, 0)


async def test_a_damaged_pdf_is_an_error(anyone: Client, sandbox: Sandbox) -> None:
    form = legacy_form(("files", samples.damaged_pdf("cut"), "a.pdf"))
    answer = await anyone.ask("POST", "/michiQ/newCase", data=form, headers=IDENTITY)
    assert told(answer) == text(500, "Error al leer el archivo PDF")
    assert not sandbox.michiq.encounters


@pytest.mark.parametrize("make", [samples.scanned_pdf, samples.encrypted_pdf])
async def test_a_pdf_that_holds_no_readable_text_counts_nothing(anyone: Client, make: Any) -> None:
    assert (await anyone.new_case(legacy_form(("files", make(), "a.pdf"))))["documents"] == 0


@pytest.mark.parametrize(
    ("make", "headers", "status"),
    [
        pytest.param(lambda: b"{}", {"Content-Type": "application/json"}, 400, id="not a form"),
        pytest.param(lambda: b"--x", {}, 400, id="broken"),
        pytest.param(lambda: b"--x--", {"Content-Type": "multipart/form-data"}, 400, id="no boundary"),
        pytest.param(lambda: b"--x--", {"Content-Encoding": "br"}, 415, id="encoded"),
        pytest.param(lambda: raw_form(b"x", times=65), {}, 400, id="65 parts"),
        pytest.param(lambda: raw_form(bytes(10 * 1024 * 1024)), {}, 413, id="over 10 MB"),
    ],
)
async def test_a_form_that_cannot_be_taken_makes_no_case(
    anyone: Client, sandbox: Sandbox, make: Callable[[], bytes], headers: dict[str, str], status: int
) -> None:
    given = IDENTITY | {"Content-Type": "multipart/form-data; boundary=x"} | headers
    answer = await anyone.ask("POST", "/michiQ/newCase", data=BytesIO(make()), headers=given)
    assert (answer.status, answer.content_type) == (status, TEXT)
    assert not sandbox.michiq.encounters


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/michiQ/newCase", {"POST"}),
        ("POST", "/michiQ/doc/1", {"GET", "HEAD"}),
        ("POST", "/michiQ/encounters", {"GET", "HEAD"}),
        ("GET", "/michiQ/query/1", {"POST"}),
        ("PUT", "/michiQ/uploadAudio/1", {"POST"}),
        ("DELETE", "/michiQ/speechToText/1", {"POST"}),
        ("POST", "/app/encounter/1", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_with_the_right_ones(
    anyone: Client, method: str, path: str, allow: set[str]
) -> None:
    answer = await anyone.ask(method, path)
    assert told(answer) == text(405, "Método no permitido")
    assert answer.allow == allow


@pytest.mark.parametrize("authorization", [None, "Bearer forged", "Bearer", "Basic abc", "Bearer a b"])
@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/michiQ/doc/1", BAD_TOKEN),
        ("GET", "/michiQ/encounters", "Error al obtener el token de autorización"),
        ("POST", "/michiQ/query/1", BAD_TOKEN),
        ("POST", "/michiQ/uploadAudio/1", BAD_TOKEN),
        ("POST", "/michiQ/speechToText/1", BAD_TOKEN),
        ("GET", "/app/encounter/1", BAD_TOKEN),
    ],
)
async def test_a_call_without_a_valid_token_is_refused(
    anyone: Client, method: str, path: str, said: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    assert told(await anyone.ask(method, path, headers=headers)) == text(401, said)


async def test_an_expired_token_is_refused(anyone: Client, clock: SetClock) -> None:
    client, case_id = await anyone.signed_in()
    clock.now += timedelta(hours=1)
    assert told(await client.ask("GET", f"/michiQ/doc/{case_id}")) == text(401, BAD_TOKEN)


async def test_a_token_of_the_new_platform_is_refused(anyone: Client, sandbox: Sandbox) -> None:
    headers = {"X-API-KEY": IDENTITY["API_KEY"], "X-USER-EMAIL": "ana@hospital.es"}
    me = await Client(anyone.http, sandbox.llamalitica.url).json("GET", "/api/users/me", headers=headers)
    client = Client(anyone.http, anyone.url, me["user"]["accessToken"])
    assert (await client.ask("GET", "/michiQ/doc/1")).status == 401


async def test_doc_answers_document_and_metadata(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    answer = await client.json("GET", f"/michiQ/doc/{case_id}")
    assert answer["document"].keys() == set(FIELDS.values())
    assert answer["document"]["michiq_uuid"] == case_id
    assert answer["metadata"] == {
        "username": "ana@hospital.es",
        "creationDate": "2025-03-21T10:00:00.000Z",
        "fileExtension": ".json",
    }


async def test_doc_names_the_first_files_extension(anyone: Client) -> None:
    made = await anyone.new_case(legacy_form(("files", "a", "a;b;c.TXT"), ("files", "b", "b.csv")))
    client = Client(anyone.http, anyone.url, made["token"])
    answer = await client.json("GET", f"/michiQ/doc/{made['michiq_uuid']}")
    assert answer["metadata"]["fileExtension"] == ".txt"


@pytest.mark.parametrize("path", ["unknown", "..%2Fdoc", "%00", "a%2Fb"])
async def test_doc_of_an_unknown_id_is_not_found(anyone: Client, path: str) -> None:
    client, _ = await anyone.signed_in()
    assert told(await client.ask("GET", f"/michiQ/doc/{path}")) == text(404, "Not Found")


async def test_doc_of_another_users_case_is_not_found(anyone: Client) -> None:
    _, case_id = await anyone.signed_in()
    other, _ = await anyone.signed_in("eva@hospital.es")
    assert told(await other.ask("GET", f"/michiQ/doc/{case_id}")) == text(404, "Not Found")


async def test_encounters_are_the_callers_own_newest_first(anyone: Client) -> None:
    client, first = await anyone.signed_in()
    await anyone.signed_in("eva@hospital.es")
    _, second = await anyone.signed_in()
    listed = await client.json("GET", "/michiQ/encounters")
    assert [encounter["MichiqUUID"] for encounter in listed] == [second, first]


async def test_an_encounter_has_the_documented_fields(anyone: Client) -> None:
    made = await anyone.new_case(legacy_form(("files", "uno", "a.txt"), conversation="dos tres"))
    client = Client(anyone.http, anyone.url, made["token"])
    (encounter,) = await client.json("GET", "/michiQ/encounters")
    assert encounter.keys() == FIELDS.keys()
    assert encounter["TokensInput"] == made["voice"] + made["ehr"] + made["documents"]
    assert encounter["Input"]["ehr"] == json.loads(EHR)
    assert encounter["OrganizationID"] == "Clínica"


async def test_a_template_gives_a_generated_text(anyone: Client) -> None:
    made = await anyone.new_case(legacy_form(conversation="Tiene tos."), template="1")
    client = Client(anyone.http, anyone.url, made["token"])
    (encounter,) = await client.json("GET", "/michiQ/encounters")
    assert encounter["GeneratedText"].startswith("Resumen según la plantilla 1: Tiene tos.")
    assert encounter["TokensGenerated"] > 0


async def test_a_query_is_answered_from_the_case(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    answer = await client.json("POST", f"/michiQ/query/{case_id}", json={"query": "¿Qué conditions consta?"})
    assert answer == {"response": "conditions: hipertensión"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Error al procesar la solicitud"),
        (b"{", "Error al procesar la solicitud"),
        (b'["a"]', "Error al procesar la solicitud"),
        (b'{"query": 7}', "Error al procesar la solicitud"),
        (b'{"query": null}', "Error al procesar la solicitud"),
        (b'{"query": ""}', "Query no proporcionada"),
        (b'{"query": " \\n"}', "Query no proporcionada"),
        (b"{}", "Query no proporcionada"),
    ],
)
async def test_a_query_that_is_not_as_documented_is_refused(anyone: Client, body: bytes, said: str) -> None:
    client, case_id = await anyone.signed_in()
    answer = await client.ask("POST", f"/michiQ/query/{case_id}", data=body)
    assert told(answer) == text(400, said)


@pytest.mark.parametrize("path", ["/michiQ/query", "/michiQ/query/"])
async def test_a_query_without_an_id_is_told_so(anyone: Client, path: str) -> None:
    client, _ = await anyone.signed_in()
    answer = await client.ask("POST", path, json={"query": "a"})
    assert told(answer) == text(400, "ID audio no proporcionado")


async def test_a_query_of_another_users_case_is_refused(anyone: Client) -> None:
    _, case_id = await anyone.signed_in()
    other, _ = await anyone.signed_in("eva@hospital.es")
    answer = await other.ask("POST", f"/michiQ/query/{case_id}", json={"query": "a"})
    assert told(answer) == text(400, "Error al procesar la solicitud")


async def test_the_encounter_page_answers_the_details_of_the_case(anyone: Client) -> None:
    client, case_id = await anyone.signed_in()
    assert (await client.json("GET", f"/app/encounter/{case_id}"))["michiq_uuid"] == case_id


async def test_the_encounter_page_of_another_users_case_is_forbidden(anyone: Client) -> None:
    _, case_id = await anyone.signed_in()
    other, _ = await anyone.signed_in("eva@hospital.es")
    assert told(await other.ask("GET", f"/app/encounter/{case_id}")) == text(403, "Forbidden")


async def test_the_encounter_page_of_an_unknown_case_is_not_found(anyone: Client) -> None:
    client, _ = await anyone.signed_in()
    assert told(await client.ask("GET", "/app/encounter/unknown")) == text(404, "Not Found")


async def test_a_lie_is_told_from_its_demand_over_http_until_all_are_ended(
    sandbox: Sandbox, http: ClientSession, anyone: Client
) -> None:
    control = f"{sandbox.michiq.url}/_sandbox/lies"
    async with http.post(control, json={"lie": "message_changed"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"lies": ["message_changed"]})
    lying = await anyone.new_case(legacy_form(conversation="uno"))
    async with http.delete(control) as answer:
        assert await answer.json() == {"lies": []}
    assert lying["message"] == "Welcome"
    assert (await anyone.new_case(legacy_form(conversation="uno")))["message"] != "Welcome"


@pytest.mark.parametrize("body", [b"{}", b'{"lie": "no such lie"}', b'{"lie": ["message_changed"]}', b"["])
async def test_a_lie_that_does_not_exist_is_refused(
    sandbox: Sandbox, http: ClientSession, body: bytes
) -> None:
    async with http.post(f"{sandbox.michiq.url}/_sandbox/lies", data=body) as answer:
        assert answer.status == 400
    assert not sandbox.michiq.lies
