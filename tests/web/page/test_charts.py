"""The charts of a route: tables for everybody, and the figures that a script draws."""

import json
import re
from collections.abc import AsyncIterator
from typing import Final

import pytest

from proxy.store.rollout.series import SeriesCounts, SeriesKey, minute_of
from tests.conftest import Api, StartProxy
from tests.rollout.moving import override
from tests.web.page.browsing import TOKENS, Browser, browsing
from tests.web.page.test_now import words

ROUTE: Final = "/routes/doc"


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        await override(started, "doc", "shadow", reason="compare <both>")
        yield started


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with browsing(api) as opened:
        await opened.log_in()
        yield opened


async def count(api: Api) -> None:
    """Counts answers of the old server, a refusal, and comparisons."""
    answered, refused, compared = SeriesCounts(), SeriesCounts(), SeriesCounts()
    for number in range(40):
        answered.answered(0.2, error=number < 1)
        compared.noted(differing=number < 2)
    refused.answered(0.001, error=False)
    minute = minute_of(api.clock()) - 3
    counted = {
        SeriesKey("doc", "shadow", "legacy", minute): answered,
        SeriesKey("doc", "shadow", "new", minute): compared,
        SeriesKey("doc", "", "", minute): refused,
    }
    await api.proxy.deps.store.evidence.add(series=counted, at=api.clock())


async def test_each_chart_has_a_table_that_needs_no_script(api: Api, browser: Browser) -> None:
    await count(api)
    text = (await browser.get(f"{ROUTE}?range=1h")).text
    figures = [words(each) for each in re.findall(r"<figure.*?</figure>", text, re.DOTALL)]
    found = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "AT", each) for each in figures]
    assert "From refused shadow: old server AT 1 40" in found[0]
    assert "From old server AT 175 / 242" in found[1]
    assert "From nobody old server AT 0 / 1 1 / 40" in found[2]
    assert "Compared With differences Rate Upper bound AT 40 2 5% 14.92%" in found[3]
    assert text.count("<details open>") == 4
    assert '<tr id="change-1">' in text
    assert "compare &lt;both&gt;" in text


async def test_the_script_gets_the_figures_of_the_api_with_the_allowed_bound(
    api: Api, browser: Browser
) -> None:
    await count(api)
    text = (await browser.get(f"{ROUTE}?range=1h")).text
    [address] = re.findall(r'data-series="([^"]+)"', text)
    assert address == "/series.json?route=doc&amp;range=1h"
    shown = json.loads((await browser.get(address.replace("&amp;", "&"))).text)
    assert (shown["route"], shown["allowed"], shown["width"]) == ("doc", 0.005, 60)
    assert [(each["side"], each["count"]) for each in shown["sides"]] == [("", 1), ("legacy", 40)]
    assert [(each["compared"], each["rate"], each["bound"]) for each in shown["differences"]] == [
        (40, 0.05, 0.149152)
    ]
    assert [each["reason"] for each in shown["changes"]] == ["compare <both>"]


async def test_a_range_is_chosen_by_its_link_and_an_unknown_one_is_the_usual_one(browser: Browser) -> None:
    for asked, chosen in [("?range=7d", "7d"), ("", "24h"), ("?range=8d", "24h"), ("?range=", "24h")]:
        text = (await browser.get(f"{ROUTE}{asked}")).text
        assert re.findall(r'href="\?range=(\w+)#charts" aria-current="true"', text) == [chosen]
        assert "No request of this route in this time" in text


async def test_the_figures_need_a_session_and_a_route(api: Api, browser: Browser) -> None:
    assert (await browser.get("/series.json?route=docs")).status == 404
    async with browsing(api) as stranger:
        assert (await stranger.get("/series.json?route=doc")).heading == "Log in"
