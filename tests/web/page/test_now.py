"""The view Now: what is wrong, and each route's figures."""

import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest

from proxy.store.audit.trail import PROXY
from proxy.store.rollout.series import SeriesCounts, SeriesKey, minute_of
from proxy.web.page.views.now import spark
from tests.conftest import Api, StartProxy
from tests.rollout.moving import new_case, override
from tests.web.page.browsing import EVA, TOKENS, Browser, browsing

ROLL_BACK: Final = "/routes/doc/change?mode=rollback"


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        yield started


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with browsing(api) as opened:
        await opened.log_in()
        yield opened


def row_of(text: str, route: str) -> str:
    """Returns the words of a route's row."""
    [row] = [each for each in re.findall(r"<tr>.*?</tr>", text, re.DOTALL) if f"/routes/{route}" in each]
    return words(row)


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


async def test_without_a_request_it_says_how_to_send_the_first_one_and_that_nothing_is_wrong(
    api: Api, browser: Browser
) -> None:
    empty = (await browser.get("/")).text
    assert "No request in the last hour" in empty
    assert "curl -H" in empty
    assert "all processes are well" in empty
    await new_case(api)
    await api.proxy.moving.recorder.flush()
    assert "No request in the last hour" not in (await browser.get("/")).text


async def test_a_row_has_the_ladder_of_modes_and_the_figures_of_the_last_hour(
    api: Api, browser: Browser
) -> None:
    await override(api, "doc", "canary", percent=12.5, until=api.clock() + timedelta(hours=2))
    await override(api, "doc", "new", organization="Clínica Norte")
    old, new = SeriesCounts(), SeriesCounts()
    for number in range(100):
        old.answered(0.2, error=False)
        new.answered(0.04, error=number < 2)
    minute = minute_of(api.clock()) - 2
    counted = {
        SeriesKey("doc", "canary", "legacy", minute): old,
        SeriesKey("doc", "canary", "new", minute): new,
    }
    await api.proxy.deps.store.evidence.add(series=counted, at=api.clock())
    text = (await browser.get("/")).text
    row = row_of(text, "doc")
    assert "legacy shadow canary 12.5% new off until" in row
    assert "1 organization differs" in row
    assert "0.67/s ! 1%" in row
    assert "legacy 175 ms / 242 ms new 38 ms / 49 ms" in row
    assert "0.5% allowed" in row
    assert re.search(r"no 3 reasons Comparisons: 0 of 1,000", row)
    assert '<li aria-current="step"><span class="badge mode-canary">' in text
    assert 'aria-label="200 requests in the last hour, at most 200 in a minute"' in text


def test_a_line_of_counts_goes_from_edge_to_edge_and_an_hour_without_any_is_flat() -> None:
    assert spark([0, 5, 10]) == "0.0,23.0 60.0,12.0 120.0,1.0"
    assert spark([0, 0]) == "0.0,23.0 120.0,23.0"


async def test_what_is_wrong_stands_first_with_what_hurts_clients_at_its_top(
    api: Api, browser: Browser
) -> None:
    await override(api, "query", "legacy", actor=PROXY, reason="12 of 60 were errors")
    api.proxy.moving.live.rejected = ["doc.toml:3: mode: must be a text"]
    text = (await browser.get("/")).text
    shown = [words(each) for each in re.findall(r'<li class="notice.*?</li>', text, re.DOTALL)]
    assert shown[0].startswith("✕ Error A mapping file is rejected : doc.toml:3: mode: must be a text .")
    assert shown[1].startswith("! Warning query went back to the old server by itself")
    assert shown[1].endswith("12 of 60 were errors")
    assert len(shown) == 2


async def test_a_routes_newest_change_is_rolled_back_in_the_dialog_of_all_changes(
    api: Api, browser: Browser
) -> None:
    assert ROLL_BACK not in (await browser.get("/")).text
    await override(api, "doc", "shadow", reason="compare")
    assert f'href="{ROLL_BACK}"' in (await browser.get("/")).text


async def test_who_only_reads_is_offered_no_rollback(api: Api) -> None:
    await override(api, "doc", "shadow")
    async with browsing(api) as browser:
        assert "Roll back" not in (await browser.log_in(EVA)).text
