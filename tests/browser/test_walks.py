"""A person who never saw the page does three things, each in at most five clicks and entries from `/`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from proxy.modes import Change
from proxy.sandbox import Fault
from tests.browser.filled import ADMIN, TOKENS
from tests.browser.moving import make_change, side_of
from tests.browser.person import Person, person_at
from tests.browser.planted import ROUTES
from tests.conftest import IDENTITY, Api, StartProxy, bearer, case_form

pytestmark = pytest.mark.here_only("a browser sees no difference")

_MOST: Final = 5
_NORTE: Final = "Clínica Norte"
_SUR: Final = "Clínica Sur"


@asynccontextmanager
async def _from_the_first_view(person: Person) -> AsyncIterator[None]:
    """Begins at `/`, and counts each click and entry until the end."""
    await person.open("/")
    person.steps.clear()
    yield
    assert 1 <= len(person.steps) <= _MOST, person.steps


async def test_one_organization_is_moved_to_the_new_side_and_back(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as ana,
    ):
        await _all_on_the_old_server(api)
        assert [await side_of(api, each) for each in (_NORTE, _SUR)] == ["legacy", "legacy"]
        await ana.log_in(ADMIN)
        async with _from_the_first_view(ana):
            await ana.click("new_case")
            await ana.click("to the new side", within=ana.row(_NORTE))
            await make_change(ana, "the clinic asked for it", forward=True)
        assert [await side_of(api, each) for each in (_NORTE, _SUR)] == ["new", "legacy"]
        async with _from_the_first_view(ana):
            await ana.click("new_case")
            await ana.click("to the old server", within=ana.row(_NORTE))
            await make_change(ana, "the clinic calls at 3 a.m.")
        assert [await side_of(api, each) for each in (_NORTE, _SUR)] == ["legacy", "legacy"]


async def test_the_reason_of_an_answer_is_found_from_a_phone_call(
    browser: Browser, start_proxy: StartProxy
) -> None:
    """Somebody says: Clínica Norte, newCase, a minute ago, error 500; nobody has the request's id."""
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as ana,
    ):
        await side_of(api, _SUR)
        api.sandbox.llamalitica.faults.add(Fault(kind="status", status=402, method="POST"))
        headers = {**IDENTITY, "organization": _NORTE}
        async with api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers=headers) as response:
            assert response.status == 500
        await api.proxy.moving.recorder.flush()
        await ana.log_in(ADMIN)
        async with _from_the_first_view(ana):
            await ana.click("Requests")
            await ana.fill("Organization", _NORTE)
            await ana.click("Filter", "button")
            await ana.page.get_by_role("row").filter(has_text="500").get_by_role("link").first.click()
            ana.steps.append("click the request")
        shown = ana.page.locator("main")
        await expect(shown).to_contain_text("The mode was new")
        await expect(shown).to_contain_text("answered 402")


async def test_who_still_uses_query_is_told(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as ana,
    ):
        await side_of(api, _SUR)
        made = await api.new_case()
        question, headers = {"query": "¿Qué?"}, bearer(made["token"])
        url = f"{api.url}/michiQ/query/{made['michiq_uuid']}"
        async with api.http.post(url, json=question, headers=headers) as response:
            assert response.status == 200
        await api.proxy.moving.recorder.flush()
        await ana.log_in(ADMIN)
        async with _from_the_first_view(ana):
            await ana.click("Clients")
            await ana.click("query")
        listed = ana.page.get_by_role("table", name="Clients")
        await expect(listed).to_contain_text(_NORTE)
        await expect(listed).not_to_contain_text(_SUR)


async def _all_on_the_old_server(api: Api) -> None:
    for route in ROUTES:
        change = Change(actor="luis", route=route, mode="legacy", reason="nothing has moved yet")
        await api.proxy.deps.store.overrides.change(change, expected=None, at=api.clock())
    await api.proxy.moving.follower.catch_up()
