"""The views: what each shows, in each language and without scripts."""

import re

from tests.conftest import StartProxy
from tests.web.admin.operators import Operator
from tests.web.page.browsing import ANA, TOKENS, browsing, logged_in


async def test_now_shows_each_routes_mode_in_force(start_proxy: StartProxy) -> None:
    async with start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        operator = Operator(api.http, api.proxy.admin_url, ANA)
        await operator.set_mode("doc", "canary", percent=12.5, until="2 h")
        await operator.set_mode("doc", "new", organization="Clínica Norte")
        shown = await browser.log_in()
    [row] = [each for each in re.findall(r"<tr>.*?</tr>", shown.text, re.DOTALL) if ">doc<" in each]
    assert re.findall(r"<th scope=\"row\"><a href=\"/routes/\w+\">(\w+)</a>", shown.text) == [
        *api.proxy.moving.live.now.table.routes
    ]
    assert "GET /michiQ/doc/{id}" in row
    assert '<span class="badge mode-canary">canary 12.5%</span>' in row
    assert re.search(r'<time datetime="[^"]+Z" title="[^"]+ UTC">', row)
    assert "1 organization differs" in row


async def test_the_language_is_the_one_that_the_browser_asks_for(start_proxy: StartProxy) -> None:
    async with logged_in(start_proxy) as browser:
        for accepted, language in [
            ("es-CO,es;q=0.9,en;q=0.8", "es"),
            ("en-GB,en", "en"),
            ("fr, es;q=0.2", "es"),
            ("de", "en"),
            ("", "en"),
            ("es;q=0, de", "en"),
            ("en;q=0.5, es", "es"),
            ("x" * 5000, "en"),
        ]:
            shown = await browser.get("/", Accept_Language=accepted)
            assert f'<html lang="{language}">' in shown.text
            assert shown.headers["Content-Language"] == language
            assert shown.heading == {"es": "Ahora", "en": "Now"}[language]


async def test_the_language_can_be_switched_and_the_view_stays(start_proxy: StartProxy) -> None:
    async with logged_in(start_proxy) as browser:
        switched = await browser.post("/language", {"language": "es", "next": "/?a=b"})
        assert (switched.heading, switched.url.path_qs) == ("Ahora", "/?a=b")
        assert (await browser.get("/", Accept_Language="en")).heading == "Ahora"
        assert (await browser.post("/language", {"language": "xx"})).heading == "Ahora"


async def test_a_view_needs_no_script(start_proxy: StartProxy) -> None:
    """Checks that nothing is reached by a script alone: links and forms have addresses."""
    async with logged_in(start_proxy) as browser:
        shown = await browser.get("/")
    assert not re.search(r"javascript:|<noscript|href=\"#\"", shown.text)
    buttons = re.findall(r"<button[^>]*>", shown.text)
    alone = [each for each in buttons if 'type="button"' in each and "hidden" not in each]
    assert alone == []


async def test_a_page_is_made_of_what_it_shows_and_not_of_what_it_says(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        api.proxy.moving.live.rejected = ['<script>alert(1)</script> "quoted"']
        shown = await browser.log_in()
    assert "<script>alert" not in shown.text
    assert "&lt;script&gt;alert(1)" in shown.text
