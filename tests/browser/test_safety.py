"""The page in the hands of others: framed, posted to from another origin, used without its token."""

from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.browser.filled import ADMIN, OTHER, READER, TOKENS
from tests.browser.person import person_at
from tests.conftest import StartProxy
from tests.serving import serving

pytestmark = pytest.mark.here_only("a browser sees no difference")

_LOGIN: Final = "form.login"


async def _shown_from_elsewhere(page: Page, html: str) -> None:
    """Opens a page of another origin on the same site, so that no cookie is held back."""

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=f"<!doctype html>{html}", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    async with serving() as serve:
        server = await serve(app)
        await page.goto(str(server.make_url("/")), wait_until="networkidle")


async def test_a_page_of_another_origin_can_not_frame_it(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(ADMIN)
        page = person.page
        await _shown_from_elsewhere(page, f"<iframe src='{person.url}/'></iframe>")
        shown = [frame.url for frame in page.frames if frame is not page.main_frame]
        assert shown == ["chrome-error://chromewebdata/"]
        assert "frame-ancestors" in "\n".join(person.watched.errors)


async def test_a_form_of_another_origin_changes_nothing(browser: Browser, start_proxy: StartProxy) -> None:
    async with (
        start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(ADMIN)
        form = f"<form method=post action='{person.url}/logout'><button>Win a prize</button></form>"
        await _shown_from_elsewhere(person.page, form)
        async with person.page.expect_navigation() as refused:
            await person.page.get_by_role("button").click()
        assert (await refused.value).status == 403
        assert await person.open("/") == 200
        assert await person.page.locator(_LOGIN).count() == 0, "it was logged out"


async def test_a_session_ends_with_the_operators_token(browser: Browser, start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        url = api.proxy.admin_url
    # The same store, at the same address: the operator's setting was edited, and the proxy restarted.
    address = urlsplit(url).netloc
    async with AsyncExitStack() as stack:
        before = start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS, MICHIQ_ADMIN_LISTEN=address)
        running = await stack.enter_async_context(AsyncExitStack())
        await running.enter_async_context(before)
        ana, luis = [await stack.enter_async_context(person_at(browser, url)) for _ in range(2)]
        await ana.log_in(ADMIN)
        await luis.log_in(OTHER)
        await running.aclose()
        tokens = TOKENS.replace(ADMIN, "another-token-for-ana")
        await running.enter_async_context(
            start_proxy(MICHIQ_ADMIN_TOKENS=tokens, MICHIQ_ADMIN_LISTEN=address)
        )
        for person in (ana, luis):
            await person.open("/")
        assert await ana.page.locator(_LOGIN).count() == 1
        assert await luis.page.locator(_LOGIN).count() == 0


async def test_who_only_reads_sees_no_form_that_changes_anything(
    browser: Browser, start_proxy: StartProxy
) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api,
        person_at(browser, api.proxy.admin_url) as person,
    ):
        await person.log_in(READER)
        forms = person.page.locator("form[method=post]")
        actions = [await form.get_attribute("action") for form in await forms.all()]
        assert {*actions} <= {"/language", "/logout"}
