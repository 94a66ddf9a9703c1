"""newCase through the running proxy: who may, what reaches the platform, and what the client gets."""

import base64
import json
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs

from proxy import jsons
from proxy.sandbox.cases import Case, StoredFile
from proxy.sandbox.service import Call
from proxy.text.tokens import estimate
from proxy.values import Json
from tests.conftest import API_KEY, IDENTITY, Api, StartProxy, bearer, case_form
from tests.flows._wire import (
    IDENTITY_LINES,
    MULTIPART,
    NEW_CASE,
    committed,
    form,
    new_case,
    part,
    refusal,
    request,
    talk,
    talk_each,
)
from tests.samples import DAMAGES, damaged_pdf, docx, encrypted_pdf, pdf, scanned_pdf

UNAUTHORIZED: Final = refusal(401, "Unauthorized")
MALFORMED: Final = refusal(400, "Solicitud incorrecta")
BAD_EHR: Final = refusal(500, "Error al leer la historia clínica")
BAD_PDF: Final = refusal(500, "Error al leer el archivo PDF")

FORM: Final = form(part("ehr", '{"id": "p-1", "name": "Ana"}'), part("conversation", "Hola."))

ANA: Final = (API_KEY.encode(), b"ana@clinica.example")

BROKEN_JSON: Final = {
    "nothing": b"",
    "blanks": b" \r\n",
    "cut": b'{"a": ',
    "unclosed string": b'{"a": "b',
    "trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "bare word": b"paciente",
    "two values": b"{}{}",
    "more after it": b"{} x",
    "NUL after it": b"{}\x00",
    "comment": b'{"a": 1 /* b */}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "66 levels": b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
    "5000 levels": b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "unclosed levels": b"[" * 100_000,
    "huge integer": b'{"a": ' + b"9" * 5000 + b"}",
    "float beyond all": b'{"a": 1e999}',
    "1e400": b'{"a": 1e400}',
    "leading zero": b'{"a": 01}',
    "line break in a string": b'{"a": "\n"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "a list": b"[]",
    "a text": b'"a"',
    "a number": b"1",
    "null": b"null",
}


async def test_new_case_N01_the_answer_has_exactly_the_documented_keys(api: Api) -> None:
    reply = await talk(api.url, new_case(FORM))
    assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
    answer = reply.json
    assert list(answer) == ["michiq_uuid", "token", "message", "voice", "ehr", "documents"]
    assert answer["message"] == "You are inside llamalitica services"
    assert all(type(answer[key]) is str and answer[key] for key in ("michiq_uuid", "token"))
    assert all(type(answer[key]) is int and answer[key] >= 0 for key in ("voice", "ehr", "documents"))


async def test_new_case_N01_no_part_that_it_knows_is_required(api: Api) -> None:
    answer = (await talk(api.url, new_case(form(part("otro", ""))))).json
    assert (answer["voice"], answer["ehr"], answer["documents"]) == (0, 0, 0)


async def test_identity_N02_goes_out_on_both_calls_in_the_new_names(api: Api) -> None:
    await api.new_case()
    assert [(call.method, call.path) for call in calls(api)] == [
        ("GET", "/api/users/me"),
        ("POST", "/api/cases"),
    ]
    for call in calls(api):
        assert identity_of(call) == (*ANA, "Clínica Norte".encode())


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('send_as = "clinica-norte"', b"clinica-norte"),
        ("parent = true", None),
        ("", "Clínica Norte".encode()),
    ],
)
async def test_identity_N02_organization_is_sent_as_the_mapping_says(
    start_proxy: StartProxy, entry: str, expected: bytes | None
) -> None:
    async with start_proxy(edit=organization("Clínica Norte", entry)) as api:
        await api.new_case()
        assert [identity_of(call)[2] for call in calls(api)] == [expected, expected]


async def test_identity_N03_a_missing_or_empty_key_is_unauthorized(api: Api) -> None:
    await unauthorized_without(api, "API_KEY")


async def test_identity_N04_a_missing_or_empty_user_or_organization_is_unauthorized(api: Api) -> None:
    await unauthorized_without(api, "user_mail")
    await unauthorized_without(api, "organization")


async def test_identity_N03_a_key_that_the_platform_refuses_is_unauthorized(api: Api) -> None:
    async with post(api, API_KEY="wrong-key") as response:
        assert (response.status, await response.text()) == (401, "Unauthorized")
        assert response.headers["X-Michiq-Cause"] == "llamalitica-401"
    assert [call.path for call in calls(api)] == ["/api/users/me"]


@pytest.mark.parametrize(
    ("provision", "admitted", "refused"),
    [
        ("any", [("x@elsewhere.example", "Nadie")], []),
        (
            "known",
            [("x@elsewhere.example", "Clínica Norte")],
            [("x@clinica.example", "Nadie"), ("x@clinica.example", "clínica norte")],
        ),
        (
            "domains",
            [("x@clinica.example", "Clínica Norte"), ("x@Clinica.EXAMPLE", "Clínica Norte")],
            [
                ("x@elsewhere.example", "Clínica Norte"),
                ("x@sub.clinica.example", "Clínica Norte"),
                ("clinica.example@x", "Clínica Norte"),
                ("x@clinica.example", "Nadie"),
            ],
        ),
    ],
)
async def test_provision_N05_decides_whom_the_platform_may_create(
    start_proxy: StartProxy,
    provision: str,
    admitted: list[tuple[str, str]],
    refused: list[tuple[str, str]],
) -> None:
    edit = organization("Clínica Norte", 'domains = ["clinica.example"]') | setting(
        'provision = "any"', f'provision = "{provision}"'
    )
    async with start_proxy(edit=edit) as api:
        for user, legacy in refused:
            async with post(api, user_mail=user, organization=legacy) as response:
                assert (response.status, await response.text()) == (401, "Unauthorized"), (user, legacy)
        assert not calls(api)
        for user, legacy in admitted:
            await api.new_case(user_mail=user, organization=legacy)


async def test_provision_N05_first_sights_are_audited_once(api: Api) -> None:
    await api.new_case()
    await api.new_case()
    await api.new_case(user_mail="bea@clinica.example")
    seen = [event.action for event in await api.proxy.deps.store.audit.all()]
    assert seen == ["first_organization", "first_user", "first_user"]


async def test_provision_N05_nobody_is_seen_whom_the_platform_refused(api: Api) -> None:
    async with post(api, API_KEY="wrong-key"):
        assert await api.proxy.deps.store.audit.all() == []


async def test_header_N06_bytes_arrive_as_they_were_meant(api: Api) -> None:
    clinica = "Clínica".encode()
    table: dict[str, tuple[list[bytes | str], bytes]] = {
        "UTF-8": ([b"organization: " + clinica], clinica),
        "Latin-1": ([b"organization: Cl\xednica"], clinica),
        "Windows-1252": (
            [b"organization: \x93Dolor\x94 \x96 5 \x80"],
            "“Dolor” – 5 €".encode(),
        ),
        "NFD": ([f"organization: {unicodedata.normalize('NFD', 'Clínica')}"], clinica),
        "emoji": (["organization: Clínica 🏥"], "Clínica 🏥".encode()),
        "signs": (['organization: "Sur", S.A.; 50% = ½'], '"Sur", S.A.; 50% = ½'.encode()),
        "blanks around": (["organization:  \tClínica \t"], clinica),
        "capitals": (["ORGANIZATION: Clínica"], clinica),
        "two spellings, one value": (["organization: Clínica", "user-mail: ana@clinica.example"], clinica),
    }
    for name, (lines, expected) in table.items():
        reply = await talk(api.url, request(NEW_CASE, [*IDENTITY_LINES[:2], *lines, MULTIPART], FORM))
        assert reply.status == 200, name
        assert [identity_of(call)[2] for call in calls(api)[-2:]] == [expected, expected], name


async def test_organization_N06_with_signs_that_nobody_sees_is_warned_of(start_proxy: StartProxy) -> None:
    """The log has one warning, without the name; a name in the mapping is meant so."""
    known = "Clínica\N{NO-BREAK SPACE}Sur"
    unseen = "\ufeff\u00a0\u00ad\u200b\u200c\u200d\u2028\u202f\u2060\u3000\U000e0020"
    odd = [f"Clínica{sign}Norte" for sign in unseen] + [
        "Cl?nica",
        "Cl\ufffdnica",
        "Clínica\ufeff",
        "\ufeffClínica",
    ]
    async with start_proxy(edit=organization(known, "")) as api:
        for name, count in {**dict.fromkeys(odd, 1), known: 0, "Clínica Norte 🏥": 0, "Clínica": 0}.items():
            with capture_logs() as events:
                await api.new_case(organization=name)
            warned = [event for event in events if event["event"] == "organization_mangled"]
            assert len(warned) == count, ascii(name)
            assert identity_of(calls(api)[-1])[2] == name.encode(), ascii(name)


async def test_header_N06_hyphens_are_as_good_as_underscores(api: Api) -> None:
    lines = [line.replace("API_KEY", "api-key").replace("user_mail", "User-Mail") for line in IDENTITY_LINES]
    assert (await talk(api.url, request(NEW_CASE, [*lines, MULTIPART], FORM))).status == 200
    assert identity_of(calls(api)[-1])[:2] == ANA


async def test_header_N06_that_can_be_read_in_two_ways_is_refused(api: Api) -> None:
    table: dict[str, list[bytes | str]] = {
        "key twice": [f"API_KEY: {API_KEY}"],
        "key twice, differing": ["API_KEY: other"],
        "key in two spellings, differing": ["API-KEY: other"],
        "mail twice": ["user_mail: ana@clinica.example"],
        "mail in two spellings, differing": ["User-Mail: bea@clinica.example"],
        "organization twice": ["organization: Otra"],
        "template twice": ["template: 1", "template: 2"],
        "idempotency key twice": ["Idempotency-Key: 1", "Idempotency-Key: 2"],
        "C1 control": [b"template: a\xc2\x85b"],
        "C1 control of Windows-1252": [b"template: a\x81\xffb"],
        "tab inside": ["template: a\tb"],
        "DEL": ["template: a\x7fb"],
        "NUL": ["template: a\0b"],
    }
    replies = await talk_each(api.url, {name: new_case(FORM, *lines) for name, lines in table.items()})
    assert {name: reply.sentence for name, reply in replies.items()} == dict.fromkeys(table, MALFORMED)
    assert not calls(api)


async def test_token_N07_without_one_a_session_begins_under_the_platforms_own(api: Api) -> None:
    first, second = await api.new_case(), await api.new_case()
    assert first["token"] != second["token"]
    for answer in (first, second):
        # Only the platform can have signed it.
        assert api.sandbox.llamalitica.accounts.check(answer["token"]).email == "ana@clinica.example"
        assert await doc_status(api, answer) == 200


async def test_token_N07_that_is_valid_for_this_user_comes_back_and_makes_no_session(
    api: Api, tmp_path: Path
) -> None:
    token = (await api.new_case())["token"]
    answer = await api.new_case(None, **bearer(token))
    assert answer["token"] == token
    assert await doc_status(api, answer) == 200
    assert committed(tmp_path, "SELECT count(*) FROM sessions") == [(1,)]


async def test_token_N07_that_is_not_valid_for_this_user_is_unauthorized(api: Api) -> None:
    own = (await api.new_case())["token"]
    table = {
        "unknown": "Bearer unknown",
        "forged": f"Bearer {own[:-4]}AAAA",
        "other scheme": f"Basic {own}",
        "no scheme": own,
        "two words": f"Bearer {own} {own}",
        "of another user": f"Bearer {(await api.new_case(user_mail='bea@clinica.example'))['token']}",
        "of another organization": f"Bearer {(await api.new_case(organization='Otra'))['token']}",
    }
    before = len(calls(api))
    requests = {name: new_case(FORM, f"Authorization: {value}") for name, value in table.items()}
    requests["twice"] = new_case(FORM, *[f"Authorization: Bearer {own}"] * 2)
    replies = await talk_each(api.url, requests)
    assert {name: reply.sentence for name, reply in replies.items()} == dict.fromkeys(requests, UNAUTHORIZED)
    assert len(calls(api)) == before


async def test_token_N07_an_empty_header_or_a_bare_bearer_begins_a_session(api: Api) -> None:
    table = {"empty": "", "blank": " \t", "bare": "Bearer", "lower": "bearer", "blanks": "  BEARER  "}
    requests = {name: new_case(FORM, f"Authorization:{value}") for name, value in table.items()}
    replies = await talk_each(api.url, requests)
    assert {name: reply.status for name, reply in replies.items()} == dict.fromkeys(table, 200)
    assert len({reply.json["token"] for reply in replies.values()}) == len(table)
    refused = [
        await talk(api.url, request("GET /michiQ/doc/1 HTTP/1.1", [f"Authorization:{value}"]))
        for value in table.values()
    ]
    assert [reply.status for reply in refused] == [401] * len(table)


async def test_token_N07_is_good_for_the_sessions_lifetime(api: Api) -> None:
    token = (await api.new_case())["token"]
    api.clock.ahead = timedelta(hours=11, minutes=59)
    assert (await api.new_case(None, **bearer(token)))["token"] == token
    api.clock.ahead = timedelta(hours=12, minutes=1)
    async with post(api, **bearer(token)) as response:
        assert response.status == 401


async def test_ehr_N08_that_is_no_json_object_is_the_documented_error_and_nothing_is_sent(api: Api) -> None:
    requests = {name: new_case(form(part("ehr", data))) for name, data in BROKEN_JSON.items()}
    requests["broken, as a file"] = new_case(form(part("ehr", "{", filename="ehr.json")))
    requests["broken and large"] = new_case(form(part("ehr", '{"a": "' + "á" * 100_000)))
    replies = await talk_each(api.url, requests)
    assert {name: reply.sentence for name, reply in replies.items()} == dict.fromkeys(requests, BAD_EHR)
    assert not calls(api)


async def test_ehr_N08_is_taken_as_a_file_a_field_with_a_mark_or_not_at_all(api: Api) -> None:
    raw = '{"id": "p-1", "name": "Ñandú"}'
    table = {
        "field": part("ehr", raw),
        "file": part("ehr", raw, "Content-Type: application/json", filename="ehr.json"),
        "file of another type": part("ehr", raw, "Content-Type: text/plain", filename="ehr.pdf"),
        "byte order mark": part("ehr", b"\xef\xbb\xbf" + raw.encode()),
        "64 levels": part("ehr", '{"id": "p-1", "name": "Ñandú", "a": ' + "[" * 63 + "]" * 63 + "}"),
    }
    for name, each in table.items():
        reply = await talk(api.url, new_case(form(each)))
        assert reply.status == 200, (name, reply.text)
        assert last_case(api).patient_metadata["name"] == "Ñandú", name
    assert (await talk(api.url, new_case(form(part("conversation", "Hola."))))).json["ehr"] == 0
    assert last_case(api).patient_metadata.keys() == {"id", "name"}


async def test_ehr_N08_in_the_charset_that_its_part_declares_goes_on_in_utf_8(api: Api) -> None:
    """Java's HttpClient sends text fields in Latin-1, and says so."""
    text = '{"id": "p-1", "name": "“Ñandú” 5 €", "large": "%s"}' % ("ñ" * 1_200_000)
    for charset, written in {
        "ISO-8859-1": text.encode("cp1252"),
        '"windows-1252"': text.encode("cp1252"),
        "iso-8859-15": text.translate({0x201C: "'", 0x201D: "'"}).encode("iso-8859-15"),
        "utf-16": text.encode("utf-16"),
        "UTF-16LE": text.encode("utf-16-le"),
        "UTF-8": text.encode(),
        "no-such-charset": text.encode(),
        "utf-32": text.encode(),
    }.items():
        field = part("ehr", written, f"Content-Type: application/json; charset={charset}")
        assert (await talk(api.url, new_case(form(field)))).status == 200, charset
        sent = last_case(api).patient_metadata
        assert sent["name"] in ("“Ñandú” 5 €", "'Ñandú' 5 €"), charset
        whole = {"id": "p-1", "name": sent["name"], "large": "ñ" * 1_200_000}
        assert sent["other-clinical-data"] == whole, charset


async def test_ehr_N08_in_no_utf_8_and_no_declared_charset_is_refused(api: Api) -> None:
    table = {
        "none": [],
        "no charset": ["Content-Type: application/json; charset=no-such-charset"],
        "another charset": ["Content-Type: application/json; charset=utf-8"],
        "half of it": ["Content-Type: application/json; charset=utf-16"],
    }
    fields = {name: part("ehr", b'{"name": "\xd1and\xfa"}', *lines) for name, lines in table.items()}
    replies = await talk_each(api.url, {name: new_case(form(each)) for name, each in fields.items()})
    assert {name: reply.sentence for name, reply in replies.items()} == dict.fromkeys(table, BAD_EHR)
    assert not calls(api)


async def test_conversation_N11_is_read_by_its_charset_else_as_a_browser_would(api: Api) -> None:
    said = "“Dolor” – 5 €"
    for name, data in {
        "": said.encode(),
        " ": said.encode("cp1252"),
        "iso-8859-1": said.encode("cp1252"),
        "US-ASCII": said.encode("cp1252"),
        '"utf-16"': said.encode("utf-16"),
        "utf-16be": said.encode("utf-16-be"),
        "utf-8": said.encode("cp1252"),
        "no-such-charset": said.encode(),
        "utf-7": said.encode(),
    }.items():
        kind = [f"Content-Type: text/plain; charset={name}"] if name.strip() else []
        reply = await talk(api.url, new_case(form(part("conversation", data, *kind))))
        assert reply.status == 200, name
        (file,) = last_case(api).files
        assert file.sha256 == digest(said.encode()), name


async def test_patient_N09_metadata_names_the_patient_and_holds_the_whole_ehr(api: Api) -> None:
    table: list[tuple[dict[str, Json], str | None, str]] = [
        ({"id": 7, "name": "Ana"}, "7", "Ana"),
        ({"id": 12345.0, "name": "Ana"}, "12345", "Ana"),
        (
            {"nhc": "NHC-1", "patient": "John Doe", "age": 30, "conditions": ["hypertension"]},
            "NHC-1",
            "John Doe",
        ),
        ({"patient": {"id": "p-2", "name": "Ana"}}, "p-2", "Ana"),
        ({"id": "", "name": None}, None, "Paciente"),
        ({}, None, "Paciente"),
        ({"id": {"a": []}, "other-clinical-data": 1, "ñ": "\U0001f9ea \u2028 \x00"}, None, "Paciente"),
    ]
    for ehr, patient_id, name in table:
        await api.new_case(case_form(ehr=jsons.dump(ehr).decode()))
        sent = last_case(api).patient_metadata
        assert sent["other-clinical-data"] == ehr
        assert (sent["id"] if patient_id else None, sent["name"]) == (patient_id, name), ehr
        assert isinstance(sent["id"], str), ehr
        assert sent["id"], ehr


async def test_patient_N09_the_bytes_of_the_ehr_are_not_written_anew(api: Api) -> None:
    raw = '{ "id":"p-1",\r\n "dosis": 1.10, "n": 1e2, "name": "Ana" }'
    await api.new_case(case_form(ehr=raw))
    metadata = '{"id":"p-1","name":"Ana","other-clinical-data":' + raw + "}"
    parts: Any = calls(api)[-1].facts["parts"]
    assert parts[0]["sha256"] == digest(metadata.encode())


async def test_patient_N09_without_an_id_stays_the_same_patient_and_shows_nothing_of_them(api: Api) -> None:
    ehr = '{"name": "Ana Núñez", "birth_date": "1980-01-01"}'
    for _ in range(2):
        await api.new_case(case_form(ehr=ehr))
    first, second = (case.patient_metadata["id"] for case in cases(api))
    assert first == second
    assert not any(word in str(first) for word in ("Ana", "1980"))


async def test_patient_N09_expressions_are_the_mappings(start_proxy: StartProxy) -> None:
    edit = setting('unnamed = "Paciente"', 'unnamed = "Anónimo"')
    async with start_proxy(edit=edit) as api:
        await api.new_case(case_form(ehr="{}"))
        assert last_case(api).patient_metadata["name"] == "Anónimo"


async def test_files_N10_arrive_in_order_byte_for_byte_under_their_names(api: Api) -> None:
    sound, large = pdf(["Informe"]), bytes(range(256)) * 8192
    table: list[tuple[bytes | str, str, bytes, str]] = [
        ("informe.pdf", "application/pdf", sound, "informe.pdf"),
        ("a;b;c.pdf", "application/pdf", sound, "a;b;c.pdf"),
        ("niño.txt", "text/plain; charset=utf-8", b"a", "niño.txt"),
        (b"ni\xf1o.txt", "text/plain", b"b", "niño.txt"),
        ("📄 informe (1).txt", "text/plain", b"c", "📄 informe (1).txt"),
        ("dos %22comillas%22.txt", "text/plain", b"d", 'dos "comillas".txt'),
        ("50%25 = ½.txt", "text/plain", b"e", "50%25 = ½.txt"),
        ("; filename*=UTF-8''x.txt", "text/plain", b"f", "; filename*=UTF-8''x.txt"),
        ("vacío.txt", "text/plain", b"", "vacío.txt"),
        ("vacío.pdf", "application/pdf", b"", "vacío.pdf"),
        ("grande.bin", "application/x-Propio", large, "grande.bin"),
        ("saltos.bin", "application/octet-stream", b"\r\n--fronter\r\n--\r\n\r", "saltos.bin"),
        ("x" * 2000 + ".bin", "application/octet-stream", b"g", "x" * 2000 + ".bin"),
        ("../../etc/passwd", "application/octet-stream", b"h", "../../etc/passwd"),
        ("informe.pdf", "application/pdf", sound, "informe.pdf"),
        (b"\x93Dolor\x94 \x96 5 \x80.txt", "text/plain", b"i", "“Dolor” – 5 €.txt"),
        ("=?utf-8?B?bmnDsW8udHh0?=", "text/plain", b"j", "niño.txt"),
        ("=?utf-8?Q?ni=C3?=\r\n =?utf-8?Q?=B1o.txt?=", "text/plain", b"k", "niño.txt"),
        ('dos "comillas".txt', "text/plain", b"l", 'dos "comillas".txt'),
        ('dos \\"comillas\\".txt', "text/plain", b"m", 'dos "comillas".txt'),
        ("C:\\dir\\x.txt", "text/plain", b"n", "C:\\dir\\x.txt"),
        ("x\"; filename*=utf-8''ni%C3%B1o.txt; y=\"", "text/plain", b"o", "niño.txt"),
    ]
    parts = [part("files", data, f"Content-Type: {kind}", filename=name) for name, kind, data, _ in table]
    reply = await talk(api.url, new_case(form(*parts)))
    assert reply.status == 200, reply.text
    assert [described(file) for file in last_case(api).files] == [
        (name, kind, len(data), digest(data)) for _, kind, data, name in table
    ]


async def test_files_N10_the_type_is_guessed_only_where_there_is_none(api: Api) -> None:
    table = {
        "informe.pdf": ("application/pdf", pdf(["Informe"])),
        "carta.DOCX": (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            docx(["Carta"]),
        ),
        "nota.txt": ("text/plain", b"Nota"),
        "nota.md": ("text/markdown", b"Nota"),
        "foto.jpg": ("image/jpeg", b"\xff\xd8"),
        "tac.dcm": ("application/dicom", b"DICM"),
        "copia.pdf.gz": ("application/octet-stream", b"\x1f\x8b"),
        "datos.propio": ("application/octet-stream", b"?"),
        "sin extensión": ("application/octet-stream", b"?"),
    }
    parts = [part("files", data, filename=name) for name, (_, data) in table.items()]
    reply = await talk(
        api.url, new_case(form(*parts, part("files", b"?", "Content-Type: ", filename="a.csv")))
    )
    assert reply.status == 200, reply.text
    guessed = {file.name: file.content_type for file in last_case(api).files}
    assert guessed == {name: kind for name, (kind, _) in table.items()} | {"a.csv": "text/csv"}


async def test_files_N10_the_order_of_the_other_parts_is_free(api: Api) -> None:
    one, two = part("files", "1", filename="1.txt"), part("files", "2", filename="2.txt")
    ehr, conversation = part("ehr", '{"id": "p-1"}'), part("conversation", "Hola.")
    for order in (
        [one, ehr, two, conversation],
        [conversation, one, two, ehr],
        [ehr, conversation, one, two],
    ):
        assert (await talk(api.url, new_case(form(*order)))).status == 200
        case = last_case(api)
        assert case.patient_metadata["id"] == "p-1"
        assert [file.name for file in case.files] == ["1.txt", "2.txt", "conversation.txt"]


async def test_files_N10_bytes_without_a_name_are_kept_and_an_empty_choice_is_no_file(api: Api) -> None:
    unnamed, unchosen = part("files", "bytes"), part("files", "", filename="")
    assert (await talk(api.url, new_case(form(unnamed, unchosen)))).status == 200
    assert [(file.name, file.size) for file in last_case(api).files] == [("document", 5)]


async def test_files_N10_the_extended_name_counts(api: Api) -> None:
    table = {
        "filename*=UTF-8''ni%C3%B1o%20%E2%82%AC.txt": "niño €.txt",
        "filename=\"nino.txt\"; filename*=utf-8'es'ni%C3%B1o.txt": "niño.txt",
        "filename*=ISO-8859-1''ni%F1o.txt; filename=nino.txt": "niño.txt",
        "filename=\"nino.txt\"; filename*=unknown''x": "nino.txt",
    }
    for disposition, expected in table.items():
        head = f'Content-Disposition: form-data; name="files"; {disposition}\r\n\r\n'.encode()
        assert (await talk(api.url, new_case(form(head + b"1")))).status == 200, disposition
        assert [file.name for file in last_case(api).files] == [expected]


async def test_conversation_N11_is_one_more_file(api: Api) -> None:
    in_utf8, in_latin1 = "¿Qué tal?\r\n".encode(), b"\xbfQu\xe9?"
    for sent, expected in ((in_utf8, in_utf8), (in_latin1, "¿Qué?".encode())):
        parts = [part("conversation", sent), part("files", "1", filename="1.txt")]
        assert (await talk(api.url, new_case(form(*parts)))).status == 200
        assert described(last_case(api).files[1]) == (
            "conversation.txt",
            "text/plain; charset=utf-8",
            len(expected),
            digest(expected),
        )


async def test_conversation_N11_that_is_empty_or_absent_is_no_file(api: Api) -> None:
    for name in ("conversation", "otro"):
        assert (await talk(api.url, new_case(form(part(name, ""))))).status == 200
        assert last_case(api).files == ()


async def test_conversation_N11_can_be_a_key_of_the_clinical_data(start_proxy: StartProxy) -> None:
    edit = setting('conversation = "file"', 'conversation = "clinical-data"')
    async with start_proxy(edit=edit) as api:
        table: dict[str, Json] = {
            '{"id": "p-1"}': {"id": "p-1", "conversation": "Hola."},
            '{"conversation": 1}': {"conversation": 1, "_conversation": "Hola."},
        }
        for ehr, expected in table.items():
            await api.new_case(case_form(ehr=ehr, conversation="Hola."))
            assert last_case(api).patient_metadata["other-clinical-data"] == expected
        await api.new_case(case_form(conversation="Hola."))
        assert last_case(api).patient_metadata["other-clinical-data"] == {"conversation": "Hola."}
        assert not any(case.files for case in cases(api))


async def test_pdf_N12_that_is_damaged_is_the_documented_error_and_nothing_is_sent(api: Api) -> None:
    sound = part("files", pdf(["Informe"]), filename="sano.pdf")
    files: dict[str, bytes] = {}
    for damage in DAMAGES:
        files[damage] = part("files", damaged_pdf(damage), filename="a.pdf")
    files["by type only"] = part("files", damaged_pdf("cut"), "Content-Type: application/pdf", filename="a")
    files["behind other bytes"] = part("files", b" " * 29 + damaged_pdf("cut"), filename="a.pdf")
    files["by content only"] = part("files", damaged_pdf("cut"), "Content-Type: image/png", filename="a.png")
    replies = await talk_each(api.url, {name: new_case(form(sound, file)) for name, file in files.items()})
    assert {name: reply.sentence for name, reply in replies.items()} == dict.fromkeys(files, BAD_PDF)
    assert not calls(api)


async def test_pdf_N12_that_is_damaged_is_forwarded_where_the_mapping_says_so(
    start_proxy: StartProxy,
) -> None:
    edit = setting('unreadable = "reject"', 'unreadable = "forward"')
    async with start_proxy(edit=edit) as api:
        data = damaged_pdf("cut")
        answer = (await talk(api.url, new_case(form(part("files", data, filename="a.pdf"))))).json
        assert answer["documents"] == 0
        assert described(last_case(api).files[0]) == ("a.pdf", "application/pdf", len(data), digest(data))


async def test_pdf_N12_a_scan_and_an_encrypted_one_are_forwarded_and_count_nothing(api: Api) -> None:
    unread = damaged_pdf("streams")
    files = {"scan.pdf": scanned_pdf(), "cifrado.pdf": encrypted_pdf(), "ilegible.pdf": unread}
    for name, data in files.items():
        answer = (await talk(api.url, new_case(form(part("files", data, filename=name))))).json
        assert answer["documents"] == 0, name
        assert [(file.name, file.sha256) for file in last_case(api).files] == [(name, digest(data))]


async def test_file_N12_that_is_no_pdf_by_its_bytes_is_forwarded_whatever_its_name_and_type_say(
    api: Api,
) -> None:
    for data in (b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"GIF89a", b"Estimado colega", damaged_pdf("no-header")):
        form_of = form(part("files", data, "Content-Type: application/pdf", filename="foto.pdf"))
        answer = (await talk(api.url, new_case(form_of))).json
        assert answer["documents"] == 0
        assert described(last_case(api).files[0]) == ("foto.pdf", "application/pdf", len(data), digest(data))


async def test_file_N12_that_is_damaged_and_no_pdf_is_forwarded(api: Api) -> None:
    data = docx(["Carta"])[:200]
    answer = (await talk(api.url, new_case(form(part("files", data, filename="a.docx"))))).json
    assert answer["documents"] == 0
    assert last_case(api).files[0].sha256 == digest(data)


async def test_counts_N13_are_the_documented_estimate_of_each_text(api: Api) -> None:
    conversation, ehr = "Le duele la cabeza, ¿verdad?", '{"name": "Ana", "edad": 42}'
    texts = ["Alergia a la penicilina", "Carta de derivación", "Analítica normal"]
    answer = (
        await talk(
            api.url,
            new_case(
                form(
                    part("conversation", conversation),
                    part("ehr", ehr),
                    part("files", pdf([texts[0]]), filename="a.pdf"),
                    part("files", docx([texts[1]]), filename="b.docx"),
                    part("files", texts[2], filename="c.txt"),
                    part("files", b"\x89PNG\r\n\x1a\n", "Content-Type: image/png", filename="d.png"),
                    part("files", b"", filename="e.txt"),
                )
            ),
        )
    ).json
    assert (answer["voice"], answer["ehr"]) == (estimate(conversation), estimate(ehr))
    assert answer["documents"] == sum(map(estimate, texts))


async def test_counts_N13_of_large_texts_are_the_same_estimate(api: Api) -> None:
    conversation, ehr = "palabra " * 20_000, '{"nota": "' + "texto " * 20_000 + '"}'
    answer = (await talk(api.url, new_case(form(part("conversation", conversation), part("ehr", ehr))))).json
    assert (answer["voice"], answer["ehr"]) == (estimate(conversation), estimate(ehr))


async def test_template_N14_becomes_the_agent_of_the_encounter_page(start_proxy: StartProxy) -> None:
    everyones, own = '"1" = "agent-one"\n"2" = "agent-two"', '"1" = "own"'
    tables = f'[templates]\n{everyones}\n[organizations."Clínica Norte".templates]\n{own}\n#'
    async with start_proxy(edit=setting("[templates] ", tables)) as api:
        assert await agent(api, template="1") == "own"
        assert await agent(api, template="2") == "agent-two"
        assert await agent(api, template="1", organization="Otra") == "agent-one"
        assert await agent(api) is None


async def test_template_N14_that_is_unknown_makes_the_case_and_a_line_in_the_log(api: Api) -> None:
    with capture_logs() as log:
        assert await agent(api, template="99") is None
    assert [entry["log_level"] for entry in log if entry["event"] == "unknown_template"] == ["warning"]


async def test_template_N14_that_is_unknown_can_be_an_error(start_proxy: StartProxy) -> None:
    edit = setting("strict_templates = false", "strict_templates = true")
    async with start_proxy(edit=edit) as api:
        async with post(api, template="99") as response:
            assert (response.status, await response.text()) == (500, "Error al generar el resumen")
        assert not calls(api)
        assert (await api.new_case())["michiq_uuid"] in api.sandbox.llamalitica.cases


def setting(old: str, new: str) -> dict[str, Callable[[str], str]]:
    """An edit of new_case.toml."""

    def edited(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return {"new_case": edited}


def organization(name: str, entry: str) -> dict[str, Callable[[str], str]]:
    """An edit of organizations.toml."""
    return {"organizations": lambda text: f'{text}\n[organizations."{name}"]\n{entry}\n'}


def post(api: Api, **headers: str) -> aiohttp.client._RequestContextManager:
    """A newCase that need not succeed; `headers` go over IDENTITY."""
    return api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers={**IDENTITY, **headers})


async def unauthorized_without(api: Api, name: str) -> None:
    others = [line for line in IDENTITY_LINES if not line.startswith(f"{name}:")]
    for line in ([], [f"{name}:"], [f"{name}:   "]):
        reply = await talk(api.url, request(NEW_CASE, [*others, *line, MULTIPART], FORM))
        assert reply.sentence == UNAUTHORIZED, line
    assert not calls(api)


def calls(api: Api) -> list[Call]:
    return api.sandbox.llamalitica.calls


def cases(api: Api) -> list[Case]:
    return list(api.sandbox.llamalitica.cases.values())


def last_case(api: Api) -> Case:
    return cases(api)[-1]


def identity_of(call: Call) -> tuple[bytes | None, bytes | None, bytes | None]:
    """API key, user and organization, as bytes."""
    return call.header("X-API-KEY"), call.header("X-USER-EMAIL"), call.header("X-ORGANIZATION")


def described(file: StoredFile) -> tuple[str, str, int, str]:
    return file.name, file.content_type, file.size, file.sha256


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


async def doc_status(api: Api, answer: dict[str, Any]) -> int:
    url = f"{api.url}/michiQ/doc/{answer['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(answer["token"])) as response:
        return response.status


async def agent(api: Api, **headers: str) -> str | None:
    """The agent that the encounter page runs for a new case."""
    answer = await api.new_case(None, **headers)
    url = f"{api.url}/app/encounter/{answer['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(answer["token"])) as response:
        page = (await response.json())["urls"]["case"]
    config = json.loads(base64.b64decode(parse_qs(urlsplit(page).query)["config"][0]))
    default: dict[str, str] = config.get("ui", {}).get("defaultAgent", {})
    return default.get("id")
