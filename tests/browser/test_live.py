"""The page while it stands open: it follows changes, and says when it can't."""

import re
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from proxy.modes import Change
from tests.browser.filled import ADMIN, TOKENS
from tests.browser.moving import side_of
from tests.browser.person import person_at
from tests.conftest import Api, StartProxy

pytestmark = pytest.mark.here_only("a browser sees no difference")

_STATUS: Final = "#live [role=status]"
_A_MINUTE: Final = 60_000


async def _change(api: Api, route: str = "doc") -> None:
    change = Change(actor="luis", route=route, mode="legacy", reason="from somewhere else")
    await api.proxy.deps.store.overrides.change(change, expected=None, at=api.clock())


async def test_a_change_by_others_is_shown_without_a_reload(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(ADMIN)
        await expect(person.page.locator(_STATUS)).to_contain_text("Live")
        await expect(person.row("/michiQ/doc")).to_contain_text("new")
        await _change(api)
        await expect(person.row("/michiQ/doc")).to_contain_text("legacy")


async def test_a_cut_stream_is_said_to_be_stale_until_it_is_back(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        page, status = person.page, person.page.locator(_STATUS)
        await page.clock.install()
        await person.log_in(ADMIN)
        await expect(status).to_contain_text("Live")
        await page.context.set_offline(True)
        await page.clock.run_for(_A_MINUTE)
        await expect(status).to_contain_text(re.compile(r"Stale since \d"))
        await page.context.set_offline(False)
        await page.clock.run_for(_A_MINUTE)
        await expect(status).to_contain_text("Live")


async def test_a_paused_page_stays_as_it_is(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        page = person.page
        await page.clock.install()
        await person.log_in(ADMIN)
        await expect(page.locator(_STATUS)).to_contain_text("Live")
        await person.click("Pause", "button")
        await _change(api)
        await page.clock.run_for(_A_MINUTE)
        await expect(page.locator(_STATUS)).to_contain_text("Paused at")
        await expect(person.row("/michiQ/doc")).to_contain_text("new")


async def test_a_change_of_this_minute_is_marked_in_the_pictures(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        assert await side_of(api, "Clínica Norte") == "new"
        await _change(api, "new_case")
        await person.log_in(ADMIN)
        await person.open("/routes/new_case")
        flag = person.page.locator(".flag").first
        await flag.hover()
        await expect(flag).to_contain_text("luis: from somewhere else")


async def test_the_view_of_a_route_follows_what_happens(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(ADMIN)
        await person.open("/routes/new_case")
        assert "Clínica Norte" not in await person.text()
        assert await side_of(api, "Clínica Norte") == "new"
        await _change(api, "new_case")
        main = person.page.locator("main")
        await expect(main).to_contain_text("Set by luis: from somewhere else")
        await expect(main).to_contain_text("Clínica Norte")
        await person.click("to the new side", within=person.row("Clínica Norte"))
        await expect(person.page.locator("#change")).to_be_visible()
