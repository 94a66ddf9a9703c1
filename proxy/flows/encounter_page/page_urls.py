"""Builds the addresses of the platform's pages, with their `config` (CONTRACT E02, E03)."""

from base64 import b64encode
from typing import Final
from urllib.parse import quote

from proxy import jsons
from proxy.mapping.models import EncounterPage
from proxy.mapping.ui import DefaultAgent, Page, Ui
from proxy.values import Case, Json

_CHAT_ONLY: Final = Ui(chatOnly=True)


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
