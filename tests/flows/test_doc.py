"""GET /michiQ/doc/{id}: one case and what is known of it (CONTRACT D)."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.sandbox import SandboxConfig
from tests.conftest import Api, StartProxy, bearer, case_form
from tests.damage import damage
from tests.flows.reading import call, files_form, get_doc, report, transcribe, unreported
from tests.samples import pdf, wav

MISSING_TOKEN: Final = "Authorization token missing or invalid"
RFC3339_UTC: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

ALWAYS: Final = {
    "michiq_uuid": str,
    "timestamp": str,
    "username": str,
    "organization_id": str,
    "tokens_generated": int,
    "tokens_input": int,
    "cost": int,
    "runtime_ms": int,
    "temperature": int,
    "input": dict,
    "structured_data": type(None),
}


def count(text: str) -> int:
    """The documented estimate: four letters or one sign a token."""
    return len(re.findall(r"\w{1,4}|[^\w\s]", text))


async def test_doc_D01_every_field_of_the_document_is_there_with_its_type(api: Api) -> None:
    case = await unreported(api)
    document = (await get_doc(api, case))["document"]
    assert {name: type(value) for name, value in document.items()} == ALWAYS


async def test_doc_D01_the_document_is_the_case_and_its_metadata_the_first_files(api: Api) -> None:
    report_pdf = ("Informe.PDF", pdf(["Todo bien."]), "application/pdf")
    form = files_form(
        report_pdf, ("b.txt", b"Dos", "text/plain"), ehr='{"id": "p", "name": "Ana"}', conversation="Hola."
    )
    case = await unreported(api, form)
    answer = await get_doc(api, case)
    [upstream] = api.sandbox.llamalitica.cases.values()
    document, metadata = answer["document"], answer["metadata"]
    assert document["michiq_uuid"] == case["michiq_uuid"] == upstream.id
    assert document["username"] == metadata["username"] == "ana@clinica.example"
    assert document["organization_id"] == "Clínica Norte"
    assert document["timestamp"] == metadata["creationDate"]
    assert metadata["fileExtension"] == ".PDF"
    assert metadata["title"] == upstream.title
    assert [(file["name"], file["type"], file["size"]) for file in metadata["files"]] == [
        ("Informe.PDF", "application/pdf", len(report_pdf[1])),
        ("b.txt", "text/plain", 3),
    ]


async def test_doc_D01_times_are_rfc3339_in_utc_and_those_of_the_platform(api: Api) -> None:
    case = await unreported(api)
    [upstream] = api.sandbox.llamalitica.cases.values()
    timestamp = (await get_doc(api, case))["document"]["timestamp"]
    assert RFC3339_UTC.fullmatch(timestamp)
    # The platform's answer has milliseconds.
    assert timestamp[:23] == upstream.created_at.isoformat()[:23]


@pytest.mark.parametrize(
    ("names", "extension"),
    [
        ([], ".json"),
        (["informe.docx"], ".docx"),
        (["uno.txt", "dos.csv"], ".txt"),
        (["a;b;c.md"], ".md"),
        (["copia.de.seguridad.xml"], ".xml"),
        (["sin extensión"], ".json"),
    ],
)
async def test_doc_D01_the_extension_is_the_first_files_or_that_of_the_ehr(
    api: Api, names: list[str], extension: str
) -> None:
    form = files_form(*((name, b"texto", "text/plain") for name in names), ehr='{"id": "p"}')
    case = await unreported(api, form)
    assert (await get_doc(api, case))["metadata"]["fileExtension"] == extension


async def test_doc_D01_the_answer_is_utf8_not_ascii_escaped(api: Api) -> None:
    case = await unreported(api, case_form(conversation="Niño con fiebre 🤒"))
    reply = await call(api, "GET", f"/michiQ/doc/{case['michiq_uuid']}", case["token"])
    assert "Niño con fiebre 🤒".encode() in reply.body


async def test_doc_D01_head_is_served_like_get_without_a_body(api: Api) -> None:
    case = await unreported(api)
    path = f"/michiQ/doc/{case['michiq_uuid']}"
    get, head = [await call(api, method, path, case["token"]) for method in ("GET", "HEAD")]
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "unknown"},
    ],
)
async def test_doc_D02_without_a_valid_token_it_is_401(api: Api, headers: dict[str, str]) -> None:
    case = await unreported(api)
    reply = await call(api, "GET", f"/michiQ/doc/{case['michiq_uuid']}", headers=headers)
    assert reply.says(401, MISSING_TOKEN)


async def test_doc_D02_a_token_whose_time_is_over_is_401(api: Api) -> None:
    case = await unreported(api)
    api.clock.ahead = timedelta(hours=12)
    reply = await call(api, "GET", f"/michiQ/doc/{case['michiq_uuid']}", case["token"])
    assert reply.says(401, MISSING_TOKEN)


async def test_doc_D02_an_unknown_id_and_another_users_are_404_alike(api: Api) -> None:
    mine = await unreported(api)
    others = [
        await unreported(api, user_mail="eva@clinica.example"),
        await unreported(api, organization="Clínica Sur"),
    ]
    ids = [other["michiq_uuid"] for other in others]
    replies = {
        case_id: await call(api, "GET", f"/michiQ/doc/{case_id}", mine["token"])
        for case_id in [*ids, "00000000-0000-4000-8000-000000000000", "%2E%2E", "a%2Fb", "a" * 65, "%00", ""]
    }
    assert {case_id: reply.says(404, "Not Found") for case_id, reply in replies.items()} == dict.fromkeys(
        replies, True
    )


async def test_doc_D02_the_owner_comes_back_with_a_new_session_and_finds_the_case(api: Api) -> None:
    case = await unreported(api)
    later = await unreported(api)
    assert later["token"] != case["token"]
    answer = await get_doc(api, {**case, "token": later["token"]})
    assert answer["document"]["michiq_uuid"] == case["michiq_uuid"]


async def test_doc_D03_a_case_without_a_report_is_answered_with_what_is_known(api: Api) -> None:
    form = files_form(("nota.txt", b"Uno dos tres", "text/plain"), ehr='{"id": "p", "x": [1.5, null]}')
    document = (await get_doc(api, await unreported(api, form)))["document"]
    assert "generated_text" not in document
    assert document["structured_data"] is None
    assert document["tokens_generated"] == 0
    assert document["input"] == {
        "conversation": "",
        "ehr": {"id": "p", "x": [1.5, None]},
        "documents": [{"name": "nota.txt", "text": "Uno dos tres"}],
    }


async def test_doc_D03_a_report_shows_at_once_as_its_newest_event_left_it(api: Api) -> None:
    case = await unreported(api)
    seen: list[Any] = []
    await report(api, "report.created", case, "Informe inicial.", {"diagnóstico": "gripe"})
    seen.append((await get_doc(api, case))["document"])
    await report(api, "report.updated", case, "Informe revisado.", {"diagnóstico": "covid"})
    seen.append((await get_doc(api, case))["document"])
    await report(api, "report.deleted", case)
    seen.append((await get_doc(api, case))["document"])
    assert [(each.get("generated_text"), each["structured_data"]) for each in seen] == [
        ("Informe inicial.", {"diagnóstico": "gripe"}),
        ("Informe revisado.", {"diagnóstico": "covid"}),
        (None, None),
    ]
    assert [each["tokens_generated"] for each in seen] == [
        count("Informe inicial."),
        count("Informe revisado."),
        0,
    ]


async def test_doc_S05_a_transcription_joins_the_conversation_and_its_tokens(start_proxy: StartProxy) -> None:
    audio = wav(1)
    said = "Me duele la rodilla."
    config = SandboxConfig(transcripts={hashlib.sha256(audio).hexdigest(): said})
    async with start_proxy(config=config) as api:
        case = await unreported(api, case_form(conversation="Buenos días."))
        assert (await transcribe(api, case, audio)).status == 200
        document = (await get_doc(api, case))["document"]
    assert document["input"]["conversation"] == f"Buenos días.\n{said}"
    assert document["tokens_input"] == count(f"Buenos días. {said}")


async def test_doc_D01_the_answers_fields_are_the_mappings(start_proxy: StartProxy) -> None:
    def renamed(text: str) -> str:
        return text.replace(
            'title = "case.title"', 'titulo = "join(\'/\', [case.id, report.agent || `\\"-\\"`])"'
        )

    async with start_proxy(edit={"doc": renamed}) as api:
        case = await unreported(api)
        metadata = (await get_doc(api, case))["metadata"]
    assert metadata["titulo"] == f"{case['michiq_uuid']}/-"
    assert "title" not in metadata


async def test_doc_D01_a_record_that_cannot_be_read_is_a_500_with_the_mappings_text(
    api: Api, tmp_path: Path
) -> None:
    case = await unreported(api)
    await damage(tmp_path, "UPDATE cases SET content = substr(content, 2)")
    reply = await call(api, "GET", f"/michiQ/doc/{case['michiq_uuid']}", case["token"])
    assert reply.says(500, "Error al obtener el documento")


async def test_doc_G02_a_large_one_is_announced_with_its_size_and_HEAD_leaves_it_out(api: Api) -> None:
    case = await unreported(api, files_form(("nota.txt", b"Tos y fiebre.\n" * 50_000, "text/plain")))
    url, headers = f"{api.url}/michiQ/doc/{case['michiq_uuid']}", bearer(case["token"])
    async with api.http.get(url, headers=headers) as got, api.http.head(url, headers=headers) as told:
        body = await got.read()
        assert (got.status, told.status) == (200, 200)
        assert len(body) > 700_000
        assert got.headers["Content-Length"] == told.headers["Content-Length"] == str(len(body))
        assert "Transfer-Encoding" not in got.headers
        assert await told.read() == b""
