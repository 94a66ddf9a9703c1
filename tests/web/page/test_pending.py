"""The view of pending calls, and how an operator closes one there."""

import html
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.store.records.journal import JournalEntry
from tests.conftest import Api, StartProxy
from tests.web.page.browsing import EVA, TOKENS, Browser, browsing

CLOSE = {"id": "intent-1", "outcome": "none", "case": "", "reason": "looked there"}


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        journal = started.proxy.deps.store.journal
        entry = JournalEntry("intent-1", "o", "new_case", None, "b", started.clock(), request_id="r-1")
        await journal.begin(entry)
        await journal.fail("intent-1", "llamalitica-timeout", ambiguous=True)
        yield started


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with browsing(api) as opened:
        await opened.log_in()
        yield opened


async def left(api: Api) -> list[str]:
    return [each.id for each in await api.proxy.deps.store.pending()]


async def noted(api: Api) -> list[dict[str, Any]]:
    rows = [each for each in await api.proxy.deps.store.audit.all() if each.action == "pending_resolved"]
    return [{"actor": row.actor, **json.loads(row.detail)} for row in rows]


async def test_a_call_is_listed_with_a_link_to_its_request_and_a_form(browser: Browser) -> None:
    listed = await browser.get("/pending")
    assert (listed.status, listed.heading) == (200, "Pending calls")
    assert '<a href="/requests/r-1"><code>r-1</code></a>' in listed.text
    assert 'name="outcome"' not in listed.text
    assert 'href="/pending?call=intent-1"' in listed.text
    assert 'name="outcome" value="made" required' in (await browser.get("/pending?call=intent-1")).text


async def test_a_closed_call_leaves_the_list_and_is_in_the_audit_as_done_on_the_page(
    api: Api, browser: Browser
) -> None:
    shown = await browser.post("/pending", CLOSE)
    assert (shown.status, shown.url.path_qs) == (200, "/pending?closed=none")
    assert "Every call has a known outcome" in shown.text
    [row] = await noted(api)
    assert (row["actor"], row["made"], row["via"]) == ("ana", False, "page")


async def test_with_a_case_the_operator_reads_that_no_client_is_given_it(api: Api, browser: Browser) -> None:
    shown = await browser.post("/pending", {**CLOSE, "outcome": "made", "case": " case-7 "})
    assert "No client is given it by this" in shown.text
    assert (await noted(api))[0]["case"] == api.proxy.deps.store.sealer.case("case-7")


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"outcome": ""}, 422, "Choose whether a case was made."),
        ({"outcome": "made"}, 422, "A case id has 1 to 64"),
        ({"outcome": "made", "case": "looked"}, 422, "don't name the case"),
        ({"reason": ""}, 422, "The reason needs 1 to 300"),
        ({"id": "intent-9"}, 404, "No call with an unknown outcome"),
    ],
    ids=str,
)
async def test_what_can_not_be_closed_is_said_and_the_form_stays_filled(
    api: Api, browser: Browser, changes: dict[str, str], status: int, said: str
) -> None:
    shown = await browser.post("/pending", {**CLOSE, **changes})
    assert (shown.status, said in html.unescape(shown.text)) == (status, True)
    if "id" not in changes:
        assert 'name="id" value="intent-1"' in shown.text
    assert (await left(api), await noted(api)) == (["intent-1"], [])


async def test_a_second_operator_is_told_who_was_first(browser: Browser) -> None:
    await browser.post("/pending", CLOSE)
    shown = await browser.post("/pending", {**CLOSE, "outcome": "made", "case": "case-7"})
    assert (shown.status, "ana has closed this call already: no case was made." in shown.text) == (409, True)


async def test_who_only_reads_sees_the_call_and_no_form(api: Api) -> None:
    async with browsing(api) as browser:
        await browser.log_in(EVA)
        shown = await browser.get("/pending?call=intent-1")
        refused = await browser.post("/pending", CLOSE)
    assert ("intent-1" in shown.text, "outcome" in shown.text) == (True, False)
    assert (refused.status, await left(api)) == (403, ["intent-1"])
