"""GET /app/encounter/{id}: the case's details, and the addresses of the platform's pages (CONTRACT E)."""

from base64 import b64encode
from typing import Final
from urllib.parse import quote

from proxy import jsons
from proxy.errors import UPSTREAM_KINDS
from proxy.flows.answers import json, text
from proxy.flows.deps import Deps
from proxy.flows.shared.access import PAGE_MARGIN, as_asked, authenticate, own_case, renewed
from proxy.flows.shared.facts import case_facts, file_facts
from proxy.headers import accepts_html
from proxy.mapping.models import EncounterPage
from proxy.mapping.table import FlowSpec, Route
from proxy.mapping.ui import DefaultAgent, Page, Ui
from proxy.times import rfc3339_exact
from proxy.values import Answer, Case, Inbound, Json, LinkedCase

SPEC: Final = FlowSpec(
    name="encounter_page",
    model=EncounterPage,
    facts=frozenset(
        {
            "case.id",
            "case.page_id",
            "case.patient_id",
            "case.title",
            "case.user",
            "case.organization",
            "case.created_at",
            "case.template",
            "case.agent",
            "files.*",
            "linked.*",
            "urls.case",
            "urls.miniWidget",
            "urls.chat",
        }
    ),
    errors=UPSTREAM_KINDS | {"unauthorized", "unknown_id", "foreign_id"},
)

# The address holds an access token: only this user may get it, and no cache may store it (CONTRACT E04).
_PRIVATE: Final = (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"))
_VIEWS: Final = {"case": "case", "mini-widget": "miniWidget", "chat": "chat"}
_CHAT_ONLY: Final = Ui(chatOnly=True)


async def run(inbound: Inbound, route: Route[EncounterPage], deps: Deps) -> Answer:
    token, session = await authenticate(inbound, deps)
    case = await own_case(inbound, session, deps)
    linked = await deps.store.links.of(case.id)
    page_id = next((link.case_id for link in reversed(linked) if link.case_id), case.id)
    session = await renewed(token, session, deps, PAGE_MARGIN)
    urls = page_urls(route.mapping, case, page_id, deps.web_url, session.access_token)
    if accepts_html(_accept(inbound)):
        view = _VIEWS.get(inbound.query.get("view", "case"), "case")
        return text(302, "", (("Location", urls[view]), *_PRIVATE))
    return json(200, route.answer.over(_facts(as_asked(case, inbound), page_id, linked, urls)), _PRIVATE)


def _accept(inbound: Inbound) -> str:
    values = (value for name, value in inbound.headers if name.lower() == b"accept")
    return ",".join(value.decode("latin-1") for value in values)


def _facts(case: Case, page_id: str, linked: list[LinkedCase], urls: dict[str, str]) -> Json:
    return {
        "case": {**case_facts(case), "page_id": page_id},
        "files": file_facts(case),
        "linked": _linked_facts(linked),
        "urls": dict(urls),
    }


def _linked_facts(linked: list[LinkedCase]) -> list[Json]:
    """Returns each linked case once, also one made of several recordings."""
    cases = dict.fromkeys((link.case_id, link.state, rfc3339_exact(link.created_at)) for link in linked)
    return [{"case_id": case_id, "state": state, "created_at": at} for case_id, state, at in cases]


def page_urls(mapping: EncounterPage, case: Case, page_id: str, web_url: str, token: str) -> dict[str, str]:
    """Returns the case's page, mini widget and chat-only page, by the names of the answer's `urls`."""
    page = _page(mapping, case.organization)
    ui = _with_agent(page.ui, mapping, case)
    base = f"{web_url}/dashboard/cases/{quote(page_id, safe='')}"
    whole = _config(token, page.redirect_url, ui)
    return {
        "case": f"{base}?config={whole}",
        "miniWidget": f"{base}/mini-widget?config={whole}",
        "chat": f"{base}?config={_config(token, None, _CHAT_ONLY)}",
    }


def _page(mapping: EncounterPage, organization: str) -> Page:
    """Returns the page's keys: the organization's own, else those for all organizations."""
    own = mapping.organizations.get(organization, Page())
    given = {name: getattr(own.ui, name) for name in own.ui.model_fields_set}
    ui = mapping.ui.model_copy(update=given)
    return Page(redirect_url=own.redirect_url or mapping.redirect_url, ui=ui)


def _with_agent(ui: Ui, mapping: EncounterPage, case: Case) -> Ui:
    """Returns the keys with the agent of newCase's template, if any, as the default agent (CONTRACT N14)."""
    if case.agent is None:
        return ui
    agent = DefaultAgent(id=case.agent, when=mapping.template_agent_when)
    return ui.model_copy(update={"defaultAgent": agent})


def _config(token: str, redirect_url: str | None, ui: Ui) -> str:
    """Returns standard base64 of UTF-8 JSON, URL-escaped: a bare `+` would arrive as a space."""
    config: dict[str, Json] = {"accessToken": token}
    if redirect_url is not None:
        config["redirectUrl"] = redirect_url
    if keys := ui.model_dump(exclude_none=True):
        config["ui"] = keys
    return quote(b64encode(jsons.dump(config)).decode(), safe="")
