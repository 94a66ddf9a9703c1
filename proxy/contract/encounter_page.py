"""Checks E: GET /app/encounter/{id}."""

import base64
import binascii
from typing import Final

from yarl import URL

from proxy import jsons
from proxy.contract import expect
from proxy.contract.check import SHARED, chosen, documented, proxys_own
from proxy.contract.probe import Case, Probe
from proxy.contract.reply import Reply
from proxy.contract.routes import ENCOUNTER_PAGE
from proxy.contract.verdicts import Mismatch
from proxy.values import Json

_UI: Final = frozenset(
    {
        "showSidebar",
        "showUploadButton",
        "showAudioRecorder",
        "showThemeToggle",
        "showChat",
        "showEditorAIButton",
        "showPdfDownloadButton",
        "saveAndFinishText",
        "defaultAgent",
        "availableAgents",
        "telemedicine",
        "colors",
        "chatOnly",
    }
)


async def _open(probe: Probe, case: Case, *, view: str = "", html: bool = False) -> Reply:
    path = ENCOUNTER_PAGE.path(case.id) + (f"?view={view}" if view else "")
    accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8" if html else "application/json"
    return await probe.ask(ENCOUNTER_PAGE.method, path, token=case.token, headers={"Accept": accept})


@documented("E01", ENCOUNTER_PAGE, "a program gets the case's details", SHARED)
async def details(probe: Probe) -> None:
    case = await probe.main()
    answer = expect.json_object(await _open(probe, case))
    expect.same(answer.get("michiq_uuid"), case.id, "`michiq_uuid`")


@documented("E01", ENCOUNTER_PAGE, "an unknown id is answered 404", SHARED)
async def unknown(probe: Probe) -> None:
    token = (await probe.main()).token
    path = ENCOUNTER_PAGE.path("prueba-michiq-proxy-desconocido")
    expect.status(await probe.ask(ENCOUNTER_PAGE.method, path, token=token), 404)


@documented("E01", ENCOUNTER_PAGE, "another user's case is answered 403", SHARED)
async def forbidden(probe: Probe) -> None:
    path = ENCOUNTER_PAGE.path((await probe.foreign()).id)
    expect.status(await probe.ask(ENCOUNTER_PAGE.method, path, token=(await probe.main()).token), 403)


@chosen("E01", ENCOUNTER_PAGE, "a browser is sent on to the page", SHARED)
async def browser(probe: Probe) -> None:
    reply = await _open(probe, await probe.main(), html=True)
    expect.status(reply, 302, when="Accept asks for HTML")
    expect.true(bool(reply.header("Location")), "a Location", "none")


@proxys_own(
    "E02", ENCOUNTER_PAGE, "three addresses lead to the platform's pages, each with its config", SHARED
)
async def addresses(probe: Probe) -> None:
    case = await probe.main()
    urls = expect.mapping(expect.json_object(await _open(probe, case)).get("urls"), "`urls`")
    expect.exactly_keys(urls, {"case", "miniWidget", "chat"})
    for view, name, ending in (
        ("case", "case", ""),
        ("mini-widget", "miniWidget", "/mini-widget"),
        ("chat", "chat", ""),
    ):
        url = _url(urls[name])
        parts = url.path.removesuffix(ending).rsplit("/", 3)
        expect.true(parts[1:3] == ["dashboard", "cases"], f"/dashboard/cases/… for {view}", "another path")
        expect.true(url.path.endswith(ending), f"a path ending in {ending} for {view}", "another one")
        ui = _config(url).get("ui")
        only = isinstance(ui, dict) and ui.get("chatOnly") is True
        expect.true(only or view != "chat", "`ui.chatOnly` for chat", "none")
        location = _url((await _open(probe, case, view=view, html=True)).header("Location"))
        expect.true(location.path == url.path, f"?view={view} to lead there", "it leads elsewhere")


@proxys_own(
    "E03", ENCOUNTER_PAGE, "the config has an access token, and only keys that the platform knows", SHARED
)
async def config(probe: Probe) -> None:
    reply = await _open(probe, await probe.main(), html=True)
    came = _config(_url(reply.header("Location")))
    unknown = {*came} - {"accessToken", "redirectUrl", "ui"}
    ui = expect.mapping(came.get("ui", {}), "`ui`")
    unknown |= {*ui} - _UI
    expect.true(not unknown, "documented keys", f"also {', '.join(sorted(unknown))}")
    expect.kinds(came, {"accessToken": expect.FILLED}, of="the config")


@proxys_own("E04", ENCOUNTER_PAGE, "no cache keeps the address, no page passes it on", SHARED)
async def private(probe: Probe) -> None:
    for html in (False, True):
        reply = await _open(probe, await probe.main(), html=html)
        for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")):
            expect.true(reply.header(name) == value, f"{name}: {value}", reply.header(name) or f"no {name}")


def _url(value: Json) -> URL:
    try:
        return URL(value if isinstance(value, str) else "")
    except ValueError:
        raise Mismatch("an address", "a string that is none") from None


def _config(url: URL) -> dict[str, Json]:
    """Returns the config in a page's address: standard base64 of UTF-8 JSON (CONTRACT E02)."""
    try:
        return jsons.load_object(base64.b64decode(url.query.get("config", ""), validate=True))
    except (binascii.Error, ValueError, jsons.BadJson):
        raise Mismatch("`config` to be standard base64 of a JSON object in UTF-8", "it is not") from None


CHECKS: Final = (details, unknown, forbidden, browser, addresses, config, private)
