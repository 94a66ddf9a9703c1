"""GET /app/encounter/{id}: the case's details, and the ways to the platform's pages (CONTRACT E)."""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
from yarl import URL

from proxy import jsons
from proxy.mapping.loader import MappingError
from proxy.sandbox import Fault
from tests.captured import captured_log
from tests.conftest import Api, StartProxy, case_form, edited_table
from tests.flows._client import Patient, calls, created, patient, settled
from tests.samples import wav

BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ME: Final = "/api/users/me"
# As the comments in the default mapping have them.
FULL_UI: Final = {
    "showSidebar": True,
    "showUploadButton": True,
    "showAudioRecorder": True,
    "showThemeToggle": True,
    "showChat": True,
    "showEditorAIButton": True,
    "showPdfDownloadButton": True,
    "saveAndFinishText": "Enviar a la HCE",
    "defaultAgent": {"id": "agent-uuid", "when": "afterLoad"},
    "availableAgents": ["agent-uuid-1", "agent-uuid-2"],
    "telemedicine": {"captureSurface": "fullPicker", "enabledByDefault": False},
    "colors": {"primary": "#0055aa", "foreground": "#ffffff", "background": "#f0f0f0"},
    "chatOnly": False,
}
Edit = Callable[[str], str]


def uncommented(mapping: str) -> str:
    """Returns the mapping with every commented setting in force, but those for one organization."""
    for_all, one, rest = mapping.partition("# For one organization")
    return re.sub(r"^# (?=\w+ = )", "", for_all, flags=re.MULTILINE) + one + rest


def with_ui(*lines: str) -> dict[str, Edit]:
    return {"encounter_page": lambda mapping: mapping.replace("\n[ui]", "\n[ui]\n" + "\n".join(lines), 1)}


def config(url: str) -> Any:
    """The `config` of a page's address, decoded as strictly as the document describes it."""
    (name, _, raw), *others = (pair.partition("=") for pair in urlsplit(url).query.split("&"))
    assert (name, others) == ("config", [])
    assert re.fullmatch(r"[A-Za-z0-9]+(%(2B|2F|3D)[A-Za-z0-9]*)*", raw), "not URL-escaped"
    return jsons.load(b64decode(unquote(raw), validate=True))


async def opened(api: Api, url: str) -> tuple[int, str]:
    """Returns the platform's answer at that very address."""
    async with api.http.get(URL(url, encoded=True)) as response:
        return response.status, await response.text()


async def urls(case: Patient) -> dict[str, str]:
    found: dict[str, str] = (await case.page()).json["urls"]
    return found


async def test_page_E01_a_program_gets_the_details_of_the_case(api: Api) -> None:
    form = case_form(ehr='{"nhc": "77", "name": "Ana Ñ"}')
    form.add_field("files", b"hola", filename="nota ñ.txt", content_type="text/plain")
    made = await api.new_case(form)
    case = Patient(api, made["michiq_uuid"], made["token"])
    reply = await case.page()
    assert (reply.status, reply.kind) == (200, "application/json")
    details = reply.json
    assert set(details.pop("urls")) == {"case", "miniWidget", "chat"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", details.pop("createdAt"))
    assert details == {
        "michiq_uuid": case.id,
        "caseId": case.id,
        "patientId": "77",
        "title": "Caso de Ana Ñ",
        "username": "ana@clinica.example",
        "organization": "Clínica Norte",
        "files": [{"name": "nota ñ.txt", "type": "text/plain", "size": 4}],
        "linkedCases": [],
    }


ACCEPTS: Final = {
    BROWSER: 302,
    "text/html": 302,
    "application/xhtml+xml": 302,
    "TEXT/HTML;q=0.5": 302,
    "application/json;q=0.5, text/html": 302,
    "application/json": 200,
    "*/*": 200,
    "": 200,
    "text/html;q=0, */*": 200,
    "application/json, text/html;q=0.5": 200,
    "text/plain": 200,
}


async def test_page_E01_accept_decides_between_the_page_and_json(api: Api) -> None:
    case = await patient(api)
    for accept, status in ACCEPTS.items():
        reply = await case.page(accept)
        assert reply.status == status, accept
        assert ("Location" in reply.headers) == (status == 302), accept


async def test_page_E01_without_a_valid_token_it_is_401(api: Api) -> None:
    case = await patient(api)
    for accept in ["application/json", BROWSER]:
        reply = await Patient(api, case.id, "unknown").page(accept)
        assert (reply.status, reply.text) == (401, "Authorization token missing or invalid")


async def test_page_E01_a_case_of_another_user_is_403(api: Api) -> None:
    case = await patient(api)
    for headers in [{"user_mail": "eva@clinica.example"}, {"organization": "Clínica Sur"}]:
        for accept in ["application/json", BROWSER]:
            reply = await (await patient(api, case.id, **headers)).page(accept)
            assert (reply.status, reply.text) == (403, "Forbidden")


async def test_page_E01_an_unknown_id_is_404(api: Api) -> None:
    token = (await patient(api)).token
    for unknown in ["123456789", "%2e%2e", "a%2Fb", "a" * 65, "%00", "a.b"]:
        async with api.http.get(
            URL(f"{api.url}/app/encounter/{unknown}", encoded=True),
            headers={"Authorization": f"Bearer {token}"},
        ) as response:
            assert (response.status, await response.text()) == (404, "Not Found"), unknown


async def test_page_E01_an_id_with_audio_but_no_case_is_404(api: Api) -> None:
    free = await patient(api, "123456789")
    await free.uploaded(wav(0.1))
    assert (await free.page()).status == 404


async def test_page_E02_the_addresses_are_those_of_the_documented_pages(api: Api) -> None:
    case = await patient(api)
    base = f"{api.sandbox.llamalitica.url}/dashboard/cases/{case.id}"
    assert {name: url.partition("?")[0] for name, url in (await urls(case)).items()} == {
        "case": base,
        "miniWidget": f"{base}/mini-widget",
        "chat": base,
    }


async def test_page_E02_the_platform_opens_each_of_them(api: Api) -> None:
    case = await patient(api)
    for name, view in [("case", "case"), ("miniWidget", "mini-widget"), ("chat", "chat")]:
        status, html = await opened(api, (await urls(case))[name])
        assert (status, f"<th>view</th><td>{view}</td>" in html) == (200, True), name


async def test_page_E02_chat_is_shown_alone(api: Api) -> None:
    case = await patient(api)
    assert config((await urls(case))["chat"]) == {"accessToken": case.token, "ui": {"chatOnly": True}}


async def test_page_E02_view_chooses_where_a_browser_goes(api: Api) -> None:
    case = await patient(api)
    known = await urls(case)
    for view, name in [
        (None, "case"),
        ("case", "case"),
        ("mini-widget", "miniWidget"),
        ("chat", "chat"),
        ("otra", "case"),
        ("", "case"),
    ]:
        reply = await case.page(BROWSER, view)
        assert (reply.status, reply.headers["Location"]) == (302, known[name]), view


async def test_page_E02_the_config_survives_what_base64_and_addresses_treat_specially(
    start_proxy: StartProxy,
) -> None:
    """The text is chosen so that its base64 has +, / and =."""
    text = "¿ÿ~>>>???~ÿ Firmar ✓ 😀&=+#%"
    async with start_proxy(edit=with_ui(f'saveAndFinishText = "{text}"')) as api:
        url = (await urls(await patient(api)))["case"]
        assert {"%2B", "%2F"} <= set(re.findall(r"%..", url))
        assert config(url)["ui"] == {"saveAndFinishText": text}
        assert (await opened(api, url))[0] == 200


async def test_page_E02_it_goes_to_the_latest_linked_case(api: Api) -> None:
    case = await patient(api)
    for seconds in (0.1, 0.2):
        await case.uploaded(wav(seconds))
        await case.transcribed()
        await settled(api)
        latest = list(api.sandbox.llamalitica.cases)[-1]
        details = (await case.page()).json
        assert (details["michiq_uuid"], details["caseId"]) == (case.id, latest)
        assert f"/dashboard/cases/{latest}?" in details["urls"]["case"]
        assert (await opened(api, details["urls"]["case"]))[0] == 200
    assert [linked["caseId"] for linked in details["linkedCases"]] == list(api.sandbox.llamalitica.cases)[1:]


async def test_page_E02_a_linked_case_that_failed_is_no_page(api: Api) -> None:
    case = await patient(api)
    await case.uploaded(wav(0.1))
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=422, path_prefix="/api/cases"))
    await case.transcribed()
    await settled(api)
    assert len(created(api)) == 2
    assert (await case.page()).json["caseId"] == case.id


async def test_page_E03_nothing_but_the_token_is_sent_by_default(api: Api) -> None:
    case = await patient(api)
    for name in ("case", "miniWidget"):
        assert config((await urls(case))[name]) == {"accessToken": case.token}


async def test_page_E03_every_documented_key_of_the_mapping_arrives(start_proxy: StartProxy) -> None:
    async with start_proxy(edit={"encounter_page": uncommented}) as api:
        case = await patient(api)
        known = await urls(case)
        for name in ("case", "miniWidget"):
            assert config(known[name]) == {
                "accessToken": case.token,
                "redirectUrl": "https://his.example.org/volver",
                "ui": FULL_UI,
            }
        assert [(await opened(api, url))[0] for url in known.values()] == [200, 200, 200]


async def test_page_E03_an_organizations_keys_go_over_those_of_all(start_proxy: StartProxy) -> None:
    def own(mapping: str) -> str:
        return with_ui("showChat = true", "showSidebar = true")["encounter_page"](mapping) + (
            '[organizations."Clínica Norte"]\nredirect_url = "https://norte.example/"\n'
            '[organizations."Clínica Norte".ui]\nshowSidebar = false\n'
        )

    async with start_proxy(edit={"encounter_page": own}) as api:
        norte = config((await urls(await patient(api)))["case"])
        sur = config((await urls(await patient(api, organization="Clínica Sur")))["case"])
        assert norte["ui"] == {"showChat": True, "showSidebar": False}
        assert norte["redirectUrl"] == "https://norte.example/"
        assert sur["ui"] == {"showChat": True, "showSidebar": True}
        assert "redirectUrl" not in sur


@pytest.mark.parametrize(
    "line",
    [
        'showSidebar = "yes"',
        "showSidebar = 1",
        "showSideBar = true",
        "saveAndFinishText = 1",
        'saveAndFinishText = ""',
        'defaultAgent = "agent"',
        'defaultAgent = { when = "afterLoad" }',
        'defaultAgent = { id = "" }',
        'defaultAgent = { id = "a", when = "never" }',
        'defaultAgent = { id = "a", then = "b" }',
        'availableAgents = "agent"',
        "availableAgents = [1]",
        'telemedicine = { captureSurface = "window" }',
        'telemedicine = { enabledByDefault = "no" }',
        "telemedicine = true",
        'colors = { primary = "blue;}" }',
        'colors = { accent = "#000000" }',
        'chatOnly = "false"',
        'unknown = "x"',
    ],
)
def test_page_E03_a_wrong_ui_value_refuses_the_mapping(tmp_path: Path, line: str) -> None:
    with pytest.raises(MappingError) as refused:
        edited_table(tmp_path / "mappings", with_ui(line))
    (complaint,) = refused.value.complaints
    assert complaint.file == "encounter_page.toml"
    assert line.split()[0] in str(refused.value)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/volver", "ftp://his.example/", "https://", "a b"])
def test_page_E03_a_wrong_redirect_url_refuses_the_mapping(tmp_path: Path, url: str) -> None:
    def wrong(mapping: str) -> str:
        return mapping.replace("\n[answer]", f'\nredirect_url = "{url}"\n[answer]', 1)

    with pytest.raises(MappingError, match="redirect_url"):
        edited_table(tmp_path / "mappings", {"encounter_page": wrong})


AGENT: Final = {"id": "5f0c6c1e", "when": "afterStopRecording"}


def templates(mapping: str) -> str:
    return mapping.replace("\n[templates]", '\n[templates]\n"7" = "5f0c6c1e"', 1)


async def test_page_E03_N14_the_templates_agent_is_the_default_agent(start_proxy: StartProxy) -> None:
    edit = {"new_case": templates, "encounter_page": uncommented}
    async with start_proxy(edit=edit) as api:
        with_template = await urls(await patient(api, template="7"))
        assert config(with_template["case"])["ui"] == {**FULL_UI, "defaultAgent": AGENT}
        assert config(with_template["miniWidget"])["ui"]["defaultAgent"] == AGENT
        without = await urls(await patient(api))
        assert config(without["case"])["ui"] == FULL_UI


async def test_page_E03_when_the_templates_agent_runs_may_be_left_to_the_platform(
    start_proxy: StartProxy,
) -> None:
    def unset(mapping: str) -> str:
        return re.sub(r"^template_agent_when = .*\n", "", mapping, flags=re.MULTILINE)

    async with start_proxy(edit={"new_case": templates, "encounter_page": unset}) as api:
        found = await urls(await patient(api, template="7"))
        assert config(found["case"])["ui"] == {"defaultAgent": {"id": "5f0c6c1e"}}


@pytest.mark.parametrize(("minutes", "renewals"), [(49, 0), (51, 1)])
async def test_page_E03_a_token_that_ends_within_ten_minutes_is_renewed(
    api: Api, minutes: int, renewals: int
) -> None:
    case = await patient(api)
    known = len(calls(api, ME))
    api.clock.ahead = timedelta(minutes=minutes)
    token = config((await urls(case))["case"])["accessToken"]
    assert len(calls(api, ME)) - known == renewals
    assert (token != case.token) == bool(renewals)
    assert (await case.page()).status == 200, "the legacy token stays the same"


async def test_page_E03_the_renewed_token_opens_the_page(api: Api) -> None:
    case = await patient(api)
    api.clock.ahead = timedelta(minutes=55)
    for url in (await urls(case)).values():
        assert (await opened(api, url))[0] == 200


async def test_page_E03_G08_without_a_fresh_token_there_is_no_address(api: Api) -> None:
    case = await patient(api)
    api.clock.ahead = timedelta(minutes=55)
    for fault, status, text in [
        (401, 401, "Authorization token missing or invalid"),
        (402, 500, "Créditos insuficientes"),
        (404, 500, "Error al abrir el caso"),
        (429, 500, "Error al abrir el caso"),
        (500, 500, "Error al abrir el caso"),
    ]:
        api.sandbox.llamalitica.faults.add(Fault(kind="status", status=fault, path_prefix=ME))
        reply = await case.page(BROWSER)
        assert (reply.status, reply.text) == (status, text)
        assert "Location" not in reply.headers, fault


async def test_page_E04_an_address_is_kept_by_nobody_on_its_way(api: Api) -> None:
    case = await patient(api)
    for method, accept in [("GET", "application/json"), ("GET", BROWSER), ("HEAD", BROWSER)]:
        reply = await case.call(method, "/app/encounter/{id}", headers={"Accept": accept})
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"


async def test_page_E04_the_redirect_has_no_body_that_could_be_kept(api: Api) -> None:
    reply = await (await patient(api)).page(BROWSER)
    assert (reply.status, reply.body) == (302, b"")


async def test_page_E04_a_request_cannot_say_where_the_platform_returns_to(api: Api) -> None:
    case = await patient(api)
    query = {
        "redirectUrl": "https://evil.example/",
        "redirect_url": "https://evil.example/",
        "config": "e30=",
    }
    reply = await case.call("GET", "/app/encounter/{id}", params=query, headers={"Accept": BROWSER})
    assert config(reply.headers["Location"]) == {"accessToken": case.token}


async def test_page_E04_G10_neither_address_nor_token_is_logged(api: Api) -> None:
    with captured_log() as log:
        case = await patient(api)
        api.clock.ahead = timedelta(minutes=55)
        fresh = config((await urls(case))["case"])["accessToken"]
        await case.page(BROWSER, "chat")
    assert "/app/encounter/{id}" in log.getvalue()
    for secret in [case.token, fresh, "config=", "/dashboard/", "ana@clinica", "Ana", "Cl\\u00ednica"]:
        assert secret not in log.getvalue(), secret
