"""The page by keys alone: they go to views, rows and the filter, and change nothing."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.filled import ADMIN, TOKENS
from tests.browser.person import Person, person_at
from tests.conftest import StartProxy

pytestmark = pytest.mark.here_only("a browser sees no difference")


async def focused(person: Person) -> str:
    return str(
        await person.page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id")
    )


async def test_keys_go_to_views_rows_and_the_filter(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(ADMIN)
        await person.press("g", "c")
        await person.page.wait_for_url("**/clients")
        await person.press("j", "j", "k", "j")
        assert await focused(person) == "doc"
        await expect(person.page.locator("tr.is-here")).to_have_count(1)
        await person.press("Enter")
        await person.page.wait_for_url("**/clients?route=doc")
        await person.press("/")
        assert await focused(person) != ""
        await expect(person.page.locator("#route")).to_be_focused()
        await person.press("Tab", "g", "a")  # into a text field: no key
        await expect(person.page.locator("#organization")).to_have_value("ga")
        assert person.page.url.endswith("/clients?route=doc")


async def test_the_keys_are_shown_and_can_be_switched_off(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(ADMIN)
        help_dialog = person.page.get_by_role("dialog")
        await person.press("?")
        await expect(help_dialog).to_be_visible()
        await person.press("g", "c")
        await expect(help_dialog).to_be_visible()
        await person.press("Escape")
        await expect(help_dialog).to_be_hidden()
        await person.click("Keys ?", "button")
        await person.page.get_by_label("Use these keys").uncheck()
        await person.click("Close", "button")
        await person.press("g", "c", "j", "?")
        await expect(help_dialog).to_be_hidden()
        await expect(person.page.locator("tr.is-here")).to_have_count(0)
        assert await api.proxy.deps.store.overrides.revision() == 0


async def test_the_keyboard_alone_goes_everywhere(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        page, url = person.page, person.url
        await page.goto(url)
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.locator("#token").focus()
        await page.keyboard.type(ADMIN)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{url}/")
        await person.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await person.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await person.press("j", "j", "k", "Enter")
        await page.wait_for_url(f"{url}/routes/new_case")
        await person.press("g", "r")
        await page.wait_for_url(f"{url}/requests")
        await person.press("/")
        assert await page.evaluate("document.activeElement.tagName") in ("INPUT", "SELECT")
        await person.press("Escape")
        await page.locator("h1").click()
        for key, path in {"d": "/differences", "c": "/clients", "a": "/audit", "n": "/"}.items():
            await person.press("g", key)
            await page.wait_for_url(re.compile(re.escape(url + path) + r"(\?.*)?$"))
