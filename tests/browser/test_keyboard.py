"""The page by keyboard alone."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.filled import ADMIN, TOKENS
from tests.browser.person import person_at
from tests.conftest import StartProxy


@pytest.mark.here_only("a browser sees no difference")
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
