"""Each view of the operator's page in Chromium: no fault of accessibility, nothing that the CSP refuses."""

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page

from tests.browser import axe
from tests.browser.filled import ADMIN, TOKENS, fill
from tests.browser.person import drawn, person_at
from tests.browser.views import SAME_TEMPLATE, VIEWS
from tests.conftest import Api, StartProxy

LANGUAGES: Final = {"es": "es-ES", "en": "en-GB"}
_NARROWEST: Final = 320
_TOO_WIDE: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.here_only("a browser sees no difference")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_view_is_accessible_narrow_and_within_its_policy(
    browser: Browser, start_proxy: StartProxy, tmp_path: Path, language: str
) -> None:
    async with start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        await fill(api, tmp_path)
        assert await _faults(browser, api, language) == {}


async def _faults(browser: Browser, api: Api, language: str) -> dict[str, list[str]]:
    """Returns the faults of each view that has some."""
    found: dict[str, list[str]] = {}
    url, locale = api.proxy.admin_url, LANGUAGES[language]
    async with person_at(browser, url, language=locale, width=_NARROWEST) as person:
        await person.log_in(ADMIN)
        for view in (view for name, view in VIEWS.items() if language == "en" or name not in SAME_TEMPLATE):
            faults = await _visit(person.page, url + view, language)
            faults += person.watched.errors + await axe.faults(person.page)
            if language == "en":  # the colours are the same in both
                await person.page.emulate_media(color_scheme="dark")
                faults += [f"dark: {fault}" for fault in await axe.contrast_faults(person.page)]
                await person.page.emulate_media(color_scheme="light")
            person.watched.errors.clear()
            if faults:
                found[view] = faults
    return found


async def _visit(page: Page, address: str, language: str) -> list[str]:
    response = await page.goto(address)
    assert response
    await drawn(page)
    shown = await page.locator("html").get_attribute("lang")
    wide = await page.evaluate(_TOO_WIDE)
    return [
        *[f"status {response.status}"] * (response.status != 200),
        *[f"in {shown}"] * (shown != language),
        *[f"{wide} px too wide"] * (wide > 0),
    ]
