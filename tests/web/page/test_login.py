"""Logging in to the page: who may, what a session is, and when it ends."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from proxy.web.page.brake import LoginBrake
from tests.captured import captured_log
from tests.conftest import Api, StartProxy
from tests.stores import ENGINES
from tests.web.page.browsing import ANA, EVA, TOKENS, Browser, browsing

COOKIE: Final = "michiq-session-"


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        yield started


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with browsing(api) as opened:
        yield opened


async def test_an_operators_token_opens_the_view_that_was_wanted(browser: Browser) -> None:
    first = await browser.get("/?route=doc")
    assert (first.url.path, first.url.query["next"], first.heading) == ("/login", "/?route=doc", "Log in")
    inside = await browser.log_in(wanted="/?route=doc")
    assert (inside.status, inside.url.path_qs, inside.heading) == (200, "/?route=doc", "Now")
    assert "speech_to_text" in inside.text
    assert (await browser.get("/login")).heading == "Now"


async def test_another_token_opens_nothing_and_is_not_logged(browser: Browser) -> None:
    for token in ("", ANA[:-1], f"ana:{ANA}", f"{EVA}:read", "ñ" * 20):
        with captured_log() as log:
            refused = await browser.log_in(token)
        assert (refused.status, refused.heading, browser.cookies) == (403, "Log in", {})
        assert "No operator has this token" in refused.text
        [line] = [each for each in log.getvalue().splitlines() if "page_login_failed" in each]
        assert json.loads(line)["peer"] == "127.0.0.1"
        assert not token or token not in log.getvalue() + refused.text


async def test_a_session_is_a_random_cookie_that_no_script_and_no_other_site_can_use(
    api: Api, browser: Browser
) -> None:
    async with api.http.post(f"{browser.url}/login", data={"token": ANA}, allow_redirects=False) as answer:
        name, value = answer.cookies.popitem()
    port = browser.url.rpartition(":")[2]
    assert (answer.status, answer.headers["Location"], name) == (303, "/", f"{COOKIE}{port}")
    assert len(bytes.fromhex(value.value)) == 32
    assert (value["httponly"], value["samesite"], value["path"], value["max-age"]) == (
        True,
        "Strict",
        "/",
        "28800",
    )


async def test_the_store_has_neither_the_sessions_nor_the_operators_token(
    browser: Browser, tmp_path: Path
) -> None:
    await browser.log_in()
    [(row,)] = ENGINES.rows(tmp_path, "SELECT token_hash || actor || operator FROM page_sessions")
    assert [each for each in (*browser.cookies.values(), ANA) if each in row] == []


async def test_a_session_ends_after_8_hours(api: Api, browser: Browser) -> None:
    await browser.log_in()
    api.clock.ahead = timedelta(hours=7, minutes=59)
    assert (await browser.get("/")).heading == "Now"
    api.clock.ahead = timedelta(hours=8)
    assert (await browser.get("/")).heading == "Log in"


async def test_a_session_ends_with_the_operators_token(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in()
        cookie = next(iter(browser.cookies.values()))
    for tokens, heading in [
        (f"ana:{ANA}:read", "Now"),
        (f"ana:{ANA}x", "Log in"),
        (f"other:{ANA}", "Log in"),
    ]:
        async with start_proxy(MICHIQ_ADMIN_TOKENS=tokens) as api, browsing(api) as browser:
            port = browser.url.rpartition(":")[2]
            assert (await browser.get("/", Cookie=f"{COOKIE}{port}={cookie}")).heading == heading


async def test_logging_out_ends_the_session_and_not_only_the_cookie(browser: Browser) -> None:
    await browser.log_in()
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert (await browser.post("/logout")).heading == "Log in"
    assert browser.cookies == {}
    assert (await browser.get("/", Cookie=cookie)).heading == "Log in"


async def test_a_login_leads_to_no_other_site(browser: Browser) -> None:
    for wanted in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "",
        "/a\r\nX: y",
        "/" + "a" * 3000,
        "/ñ",
    ]:
        assert (await browser.log_in(wanted=wanted)).url.path_qs == "/"


async def test_a_login_over_plain_http_from_elsewhere_is_refused_with_the_remedy(
    browser: Browser,
) -> None:
    for headers in [
        {"Host": "192.0.2.7:9090"},
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"Via": "1.1 front"},
    ]:
        shown = await browser.get("/login", **headers)
        refused = await browser.post("/login", {"token": ANA}, **headers)
        assert (shown.status, refused.status, browser.cookies) == (200, 403, {})
        for each in (shown, refused):
            assert "MICHIQ_TLS_CERT" in each.text
            assert "ssh -L" in each.text
            assert 'name="token"' not in each.text


async def test_failed_logins_are_slowed_for_the_right_token_too(browser: Browser) -> None:
    statuses = [(await browser.log_in("wrong-token-0123456789")).status for _ in range(6)]
    slowed = await browser.log_in()
    assert statuses == [403] * 6
    assert (slowed.status, slowed.headers["Retry-After"]) == (429, "1")
    assert "Wait 1 s" in slowed.text


def test_a_client_waits_longer_after_each_failed_login_and_its_success_ends_that() -> None:
    brake, waits = LoginBrake(), []
    for _ in range(14):
        brake.failed("192.0.2.1", 100.0)
        waits.append(brake.wait("192.0.2.1", 100.0))
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (brake.wait("192.0.2.1", 159.5), brake.wait("192.0.2.1", 160.0)) == (1, 0)
    assert brake.wait("192.0.2.2", 100.0) == 0
    brake.succeeded("192.0.2.1")
    assert brake.wait("192.0.2.1", 100.0) == 0


def test_many_addresses_have_no_more_failed_logins_together_than_100_a_minute() -> None:
    brake = LoginBrake()
    for number in range(2000):
        brake.failed(f"192.0.2.{number}", number / 100)
    assert brake.wait("198.51.100.1", 20.0) == 59
    assert brake.wait("198.51.100.1", 80.0) == 0
    assert len(brake._peers) == 1024
