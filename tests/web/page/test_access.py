"""The guards of the page: forms of elsewhere, foreign hosts, operators who only read, headers, errors."""

import re
from collections.abc import AsyncIterator
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from proxy.web.page.access import HEADERS
from tests.conftest import Api, StartProxy, bearer
from tests.damage import damage
from tests.web.admin.operators import Operator, said
from tests.web.page.browsing import ANA, EVA, TOKENS, Browser, browsing, logged_in
from tests.web.page.test_texts import PAGE

HTML: Final = "text/html; charset=utf-8"
ACCEPT: Final = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
async def browser(start_proxy: StartProxy) -> AsyncIterator[Browser]:
    async with logged_in(start_proxy) as opened:
        yield opened


async def test_a_form_without_the_sessions_csrf_token_does_nothing(browser: Browser) -> None:
    for csrf in ("", "0" * 64, "ñ"):
        refused = await browser.post("/logout", {"csrf": csrf})
        assert (refused.status, refused.heading) == (403, "The form is out of date")
    assert (await browser.get("/")).heading == "Now"


async def test_each_session_has_a_csrf_token_of_its_own(browser: Browser) -> None:
    first = browser.csrf
    await browser.post("/logout")
    await browser.log_in()
    assert browser.csrf != first
    assert (await browser.post("/logout", {"csrf": first})).status == 403


async def test_a_form_of_elsewhere_does_nothing(browser: Browser) -> None:
    elsewhere: list[dict[str, str]] = [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    ]
    for path, headers in product(("/login", "/logout", "/language"), elsewhere):
        refused = await browser.post(path, {"token": ANA, "language": "es"}, **headers)
        assert (refused.status, refused.heading) == (403, "The form came from elsewhere")


async def test_a_form_of_a_browser_that_hides_its_origin_or_says_it_is_taken(browser: Browser) -> None:
    for headers in ({"Origin": "null"}, {"Origin": browser.url}):
        assert (await browser.post("/language", {"language": "en"}, **headers)).status == 200


async def test_a_null_origin_is_of_elsewhere_if_the_browser_says_no_more(api_of_page: Api) -> None:
    async with api_of_page.http.post(
        f"{api_of_page.proxy.admin_url}/login", data={"token": ANA}, headers={"Origin": "null"}
    ) as answer:
        assert answer.status == 403


async def test_a_foreign_host_name_gets_nothing(browser: Browser) -> None:
    names = ("evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil")
    for path, host in product(("/", "/login", "/static/app.js"), names):
        refused = await browser.get(path, Host=host)
        assert (refused.status, refused.heading) == (421, "Unknown host name")


async def test_an_address_is_no_foreign_name(browser: Browser) -> None:
    for host in ("localhost:1", "127.0.0.1", "[::1]:1", "192.0.2.7"):
        assert (await browser.get("/login", Host=host)).status == 200


async def test_an_operator_who_only_reads_sees_everything_and_changes_nothing(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        assert "read only" in (await browser.log_in(EVA)).text
        eva = Operator(api.http, api.proxy.admin_url, EVA)
        assert (await eva.get("routes")).status == 200
        refused = await eva.set_mode("doc", "off")
        assert (refused.status, said(refused)["type"]) == (403, "about:blank")
        assert await api.proxy.deps.store.overrides.revision() == 0
        assert (await browser.post("/logout")).heading == "Log in"


async def test_every_answer_has_the_headers_that_shut_others_out(browser: Browser) -> None:
    shown = [
        await browser.get("/"),
        await browser.get("/none", Accept=ACCEPT),
        await browser.post("/"),
        await browser.get("/static/none.js"),
        await browser.post("/logout", {"csrf": ""}),
        await browser.get("/login", Host="evil.example"),
    ]
    assert [each.status for each in shown] == [200, 404, 405, 404, 403, 421]
    for each in shown:
        assert {name: each.headers.get(name) for name in HEADERS} == HEADERS
        assert each.headers["Content-Type"] == HTML
        assert each.headers.get("Server") is None
    assert "'unsafe" not in HEADERS["Content-Security-Policy"]


async def test_an_error_is_a_page_for_a_browser_and_problem_details_for_a_program(browser: Browser) -> None:
    page = await browser.get("/none", Accept=ACCEPT)
    assert (page.status, page.heading) == (404, "There is nothing here")
    wrong = await browser.post("/")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD")
    assert wrong.heading == "This address takes another method"
    for path, headers in [("/none", {}), ("/admin/none", {"Accept": ACCEPT, **bearer(ANA)})]:
        problem = await browser.get(path, **headers)
        assert (problem.status, problem.headers["Content-Type"]) == (404, "application/problem+json")


async def test_a_store_that_fails_is_a_page_with_its_styles(api_of_page: Api, tmp_path: Path) -> None:
    async with browsing(api_of_page) as browser:
        await browser.log_in()
        await damage(tmp_path, "DROP TABLE page_sessions")
        failed = await browser.get("/")
        styles = await browser.get("/static/app.css")
    assert (failed.status, failed.heading, styles.status) == (503, "The store can't be used", 200)


async def test_a_static_file_is_cached_for_ever_under_its_contents_address_only(browser: Browser) -> None:
    page = await browser.get("/")
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        shown = await browser.get(address)
        assert (shown.status, shown.headers["Cache-Control"]) == (
            200,
            "public, max-age=31536000, immutable",
        )
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert (await browser.get(addresses[0].partition("?")[0])).headers["Cache-Control"] == "no-cache"


async def test_no_other_file_is_served(browser: Browser) -> None:
    for path in (
        "../keys.py",
        "%2e%2e/keys.py",
        "..%2fkeys.py",
        "vendor",
        "vendor/",
        "/etc/passwd",
        "none.js",
    ):
        assert (await browser.get(f"/static/{path}")).status == 404, path


def test_the_vendored_files_are_those_of_their_packages() -> None:
    vendor = PAGE / "static" / "vendor"
    rows = [line.split() for line in (vendor / "MANIFEST.txt").read_text().splitlines()[1:]]
    assert {name: sha256((vendor / name).read_bytes()).hexdigest() for name, *_ in rows} == {
        name: digest for name, *_, digest in rows
    }
    assert {name for name, *_ in rows} == {path.name for path in vendor.iterdir()} - {"MANIFEST.txt"}


@pytest.mark.parametrize("environ", [{}, {"MICHIQ_ADMIN_TOKENS": TOKENS, "MICHIQ_UI": "off"}])
async def test_there_is_no_page_without_operators_or_when_it_is_off(
    start_proxy: StartProxy, environ: dict[str, str]
) -> None:
    async with start_proxy(**environ) as api, browsing(api) as browser:
        for path in ("/", "/login", "/static/app.css"):
            missing = await browser.get(path, Accept=ACCEPT)
            assert (missing.status, missing.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.fixture
async def api_of_page(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        yield api
