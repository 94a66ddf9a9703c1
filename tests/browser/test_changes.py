"""Moving routes by clicking: the whole of examples/migration.sh, two operators at once, and no scripts."""

import asyncio
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from proxy.sandbox import Fault
from tests.browser.filled import ADMIN, OTHER, TOKENS
from tests.browser.moving import MAKE, REASON, begin_change, make_change, side_of
from tests.browser.person import person_at
from tests.conftest import IDENTITY, StartProxy, case_form

pytestmark = pytest.mark.here_only("a browser sees no difference")

_NORTE: Final = "Clínica Norte"
_SUR: Final = "Clínica Sur"


async def test_the_walk_of_one_route_goes_to_its_end_by_clicking(
    browser: Browser, start_proxy: StartProxy
) -> None:
    """Does what examples/migration.sh does, in its order."""
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as ana,
    ):
        await side_of(api, _SUR)  # the page offers those that have called
        await ana.log_in(ADMIN)
        await begin_change(ana, "legacy")
        await make_change(ana, "the walk begins")
        assert await side_of(api, _NORTE) == "legacy"

        await begin_change(ana, "shadow")
        await make_change(ana, "see what would differ")
        for _ in range(5):
            assert await side_of(api, _NORTE) == "legacy"
        await expect(ana.page.locator("main")).to_contain_text("of 1,000")

        await begin_change(ana, "canary")
        await ana.choose("For", _SUR)
        await ana.fill("Percentage of organizations", "0")
        await ana.choose("Until", "1 hour, then back")
        await make_change(ana, "nobody yet")
        assert await side_of(api, _SUR) == "legacy"

        await begin_change(ana, "canary")
        await ana.choose("For", _SUR)
        await ana.fill("Percentage of organizations", "100")
        await ana.choose("Until", "1 hour, then back")
        await make_change(ana, "one hospital first", forward=True)
        assert [await side_of(api, each) for each in (_SUR, _NORTE)] == ["new", "legacy"]

        await begin_change(ana, "new")
        await make_change(ana, "everybody", forward=True, typed="new_case")
        assert await side_of(api, _NORTE) == "new"

        await begin_change(ana, "Roll back")
        await make_change(ana, "the clinic calls at 3 a.m.")
        assert await side_of(api, _NORTE) == "legacy"
        assert ana.watched.errors == []


async def test_of_two_operators_the_later_one_is_shown_the_change_of_the_other(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as ana,
        person_at(browser, api.proxy.admin_url) as luis,
    ):
        await asyncio.gather(ana.log_in(ADMIN), luis.log_in(OTHER))
        await begin_change(ana, "shadow")
        await begin_change(luis, "legacy")
        await make_change(luis, "the night shift wants it")
        await ana.fill(REASON, "see what would differ")
        await ana.click(MAKE, "button")
        alert = ana.page.get_by_role("alert")
        await expect(alert).to_contain_text("Nothing was changed")
        await expect(alert).to_contain_text("luis")
        await expect(alert).to_contain_text("the night shift wants it")
        assert await side_of(api, _NORTE) == "legacy"
        await make_change(ana, "see what would differ")
        history = await api.proxy.deps.store.overrides.history(limit=10)
        assert [(each.actor, each.mode) for each in history] == [("ana", "shadow"), ("luis", "legacy")]


async def test_without_scripts_a_mode_is_changed_by_links_and_forms(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url, scripts=False) as ana,
    ):
        await ana.log_in(ADMIN)
        await begin_change(ana, "legacy")
        await make_change(ana, "without scripts")
        assert await side_of(api, _NORTE) == "legacy"


async def test_without_scripts_a_call_in_doubt_is_closed(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url, scripts=False) as ana,
    ):
        lost = Fault(kind="cut_after_body", method="POST", path_prefix="/api/cases")
        api.sandbox.llamalitica.faults.add(lost)
        async with api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers=IDENTITY) as response:
            assert response.status == 500
        [call] = await api.proxy.deps.store.journal.pending()
        await ana.log_in(ADMIN)
        await ana.click("Pending")
        await ana.click(f"Close this call {call.id}")
        await ana.click("no case of this call", "radio")
        await ana.fill("Reason (it stays in the audit: name nobody)", "the platform shows none")
        await ana.click("Close the call", "button")
        await expect(ana.page.locator("main").get_by_role("status")).to_contain_text("No case was made")
        assert "Every call has a known outcome" in await ana.text()
