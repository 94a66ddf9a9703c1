"""The platform's pages: the keys that their config may have, and the users that may open them."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from yarl import URL

from proxy.sandbox import Sandbox
from tests.sandbox.conftest import SetClock
from tests.sandbox.test_llamalitica_api import form, me, post

FULL_UI = {
    "showSidebar": True,
    "showUploadButton": True,
    "showAudioRecorder": True,
    "showThemeToggle": True,
    "showChat": True,
    "showEditorAIButton": True,
    "showPdfDownloadButton": True,
    "saveAndFinishText": "Guardar <y> terminar",
    "defaultAgent": {"id": "agent", "when": "afterLoad"},
    "availableAgents": ["agent"],
    "telemedicine": {"captureSurface": "fullPicker", "enabledByDefault": False},
    "colors": {"primary": "#000000", "foreground": "#ffffff", "background": "#f0f0f0"},
}


def encoded(config: Any) -> str:
    return base64.b64encode(json.dumps(config, ensure_ascii=False).encode()).decode()


async def opened(sandbox: Sandbox, http: ClientSession, path: str, query: str) -> tuple[int, str]:
    url = URL(f"{sandbox.llamalitica.url}/dashboard/cases/{path}?{query}", encoded=True)
    async with http.get(url) as answer:
        assert answer.content_type == "text/html"
        return answer.status, await answer.text()


@pytest.fixture
async def case_id(sandbox: Sandbox, http: ClientSession) -> str:
    metadata = '{"id": "1", "name": "<b>Ana</b>"}'
    return str((await post(sandbox, http, form(metadata=metadata)))[1]["caseId"])


@pytest.fixture
async def token(sandbox: Sandbox, http: ClientSession) -> str:
    return str((await me(sandbox, http))[1]["user"]["accessToken"])


@pytest.mark.parametrize("page", ["", "/mini-widget"])
async def test_a_page_opens_with_every_documented_setting(
    sandbox: Sandbox, http: ClientSession, case_id: str, token: str, page: str
) -> None:
    config = {"accessToken": token, "redirectUrl": "https://h.es/?a=~ü", "ui": FULL_UI}
    status, html = await opened(sandbox, http, case_id + page, f"config={quote(encoded(config), safe='')}")
    assert status == 200
    assert all(f"<th>{key}</th>" in html for key in FULL_UI)


async def test_a_page_escapes_what_it_shows(
    sandbox: Sandbox, http: ClientSession, case_id: str, token: str
) -> None:
    config = {"accessToken": token, "ui": FULL_UI}
    _, html = await opened(sandbox, http, case_id, f"config={quote(encoded(config), safe='')}")
    assert "Caso de &lt;b&gt;Ana&lt;/b&gt;" in html
    assert "Guardar &lt;y&gt; terminar" in html
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("path", "ui", "view"),
    [("", {}, "case"), ("/mini-widget", {}, "mini-widget"), ("", {"chatOnly": True}, "chat")],
)
async def test_a_page_names_its_view(
    sandbox: Sandbox, http: ClientSession, case_id: str, token: str, path: str, ui: Any, view: str
) -> None:
    config = quote(encoded({"accessToken": token, "ui": ui}), safe="")
    _, html = await opened(sandbox, http, case_id + path, f"config={config}")
    assert f"<th>view</th><td>{view}</td>" in html


@pytest.mark.parametrize(
    "change",
    [
        {"surplus": 1},
        {"redirectUrl": "javascript:alert(1)"},
        {"ui": {"showsidebar": True}},
        {"ui": {"show_sidebar": True}},
        {"ui": {"showSidebar": "true"}},
        {"ui": {"showSidebar": None}},
        {"ui": {"defaultAgent": {"when": "afterLoad"}}},
        {"ui": {"defaultAgent": {"id": "a", "when": "later"}}},
        {"ui": {"availableAgents": "a"}},
        {"ui": {"telemedicine": {"captureSurface": "window"}}},
        {"ui": {"colors": {"secondary": "#000000"}}},
    ],
    ids=json.dumps,
)
async def test_a_setting_that_is_not_documented_is_refused(
    sandbox: Sandbox, http: ClientSession, case_id: str, token: str, change: dict[str, Any]
) -> None:
    config = quote(encoded({"accessToken": token} | change), safe="")
    assert (await opened(sandbox, http, case_id, f"config={config}"))[0] == 400


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="none"),
        pytest.param("config=%%%", id="not base64"),
        pytest.param("config=e30=&config=e30=", id="two"),
        pytest.param("config=e30", id="no padding"),
        pytest.param("config=_-8=", id="the URL alphabet"),
        pytest.param("config=/+8=", id="a plus that is not URL-escaped"),
        pytest.param("config=" + quote(base64.b64encode(b"\xff{}").decode()), id="not UTF-8"),
        pytest.param("config=" + quote(base64.b64encode(b"[]").decode()), id="not an object"),
        pytest.param("config=e30%3D", id="no token"),
    ],
)
async def test_a_config_that_cannot_be_read_is_refused(
    sandbox: Sandbox, http: ClientSession, case_id: str, query: str
) -> None:
    assert (await opened(sandbox, http, case_id, query))[0] == 400


async def test_an_unknown_case_is_not_found(sandbox: Sandbox, http: ClientSession, token: str) -> None:
    config = quote(encoded({"accessToken": token}), safe="")
    assert (await opened(sandbox, http, "unknown", f"config={config}"))[0] == 404


async def test_a_case_of_another_organization_is_not_found(
    sandbox: Sandbox, http: ClientSession, case_id: str
) -> None:
    other = (await me(sandbox, http, X_ORGANIZATION="Otra"))[1]["user"]["accessToken"]
    config = quote(encoded({"accessToken": other}), safe="")
    assert (await opened(sandbox, http, case_id, f"config={config}"))[0] == 404


async def test_a_forged_token_is_refused(
    sandbox: Sandbox, http: ClientSession, case_id: str, token: str
) -> None:
    forged = quote(encoded({"accessToken": f"{token[:-6]}AAAAAA"}), safe="")
    assert (await opened(sandbox, http, case_id, f"config={forged}"))[0] == 401


async def test_an_expired_token_is_refused(
    sandbox: Sandbox, http: ClientSession, case_id: str, token: str, clock: SetClock
) -> None:
    clock.now += timedelta(hours=1)
    config = quote(encoded({"accessToken": token}), safe="")
    assert (await opened(sandbox, http, case_id, f"config={config}"))[0] == 401
