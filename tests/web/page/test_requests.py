"""The views of requests: the list by its filters, and one request as it went."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.usage import Visit
from tests.conftest import Api, StartProxy
from tests.web.page.browsing import TOKENS, Browser, Shown, browsing

NORTH: Final = "Clínica Norte"
STORY: Final[dict[str, Any]] = {
    "route": "new_case",
    "asked": {
        "method": "POST",
        "headers": ["host"],
        "other_headers": 1,
        "bytes": 1234,
        "token": "none",
        "user": "u" * 16,
        "organization": "c" * 16,
        "id_lives_on": None,
    },
    "decided": {
        "side": "new",
        "why": "mode",
        "mode": "canary",
        "percent": 5.0,
        "revision": 3,
        "shadowed": True,
    },
    "calls": [
        {
            "upstream": "llamalitica",
            "method": "POST",
            "path": "/api/cases",
            "status": None,
            "cause": "llamalitica-timeout",
            "milliseconds": 30000,
        }
    ],
    "answered": {"status": 500, "bytes": 10, "cause": "llamalitica-timeout", "milliseconds": 30012},
}
DIFFERENT: Final[dict[str, Any]] = {
    "outcome": "difference",
    "differences": [{"path": "voice", "kind": "missing", "control": "string", "candidate": "none"}],
}


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        yield started


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with browsing(api) as opened:
        await opened.log_in()
        yield opened


async def fill(api: Api, *traces: RequestTrace) -> None:
    store, now = api.proxy.deps.store, api.clock()
    scope = store.sealer.organization(NORTH)
    known = Visit("", "", NORTH, scope, "", "new_case", "new", 200, now)
    await store.evidence.add(
        visits=[known], stories=[replace(each, organization=scope) for each in traces], at=now
    )


def trace(api: Api, name: str, **facts: Any) -> RequestTrace:
    same = {"route": "new_case", "side": "new", "status": 200, "milliseconds": 12}
    return RequestTrace(name, api.clock(), STORY, **{**same, **facts})


def ids(shown: Shown) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'href="/requests/[^"]*" title="([^"]*)"', shown.text)]


async def test_requests_are_listed_the_newest_first_with_their_organization(
    api: Api, browser: Browser
) -> None:
    await fill(api, trace(api, "r-1"), trace(api, "r-2", status=500, cause="llamalitica-timeout"))
    shown = await browser.get("/requests")
    assert (shown.status, shown.heading, ids(shown)) == (200, "Requests", ["r-2", "r-1"])
    assert shown.text.count(f"<td>{NORTH}</td>") == 2
    assert "<code>llamalitica-timeout</code>" in shown.text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("failed=true", ["r-2"]),
        ("route=doc&organization=&status=&cause=&side=&since=&until=&id=", ["r-1"]),
        ("organization=Cl%C3%ADnica+Norte&status=5xx&since=2+h", ["r-2"]),
        ("id=r-1", ["r-1"]),
        ("side=legacy", []),
    ],
)
async def test_the_filters_are_a_form_that_is_shown_again(
    api: Api, browser: Browser, query: str, expected: list[str]
) -> None:
    await fill(api, trace(api, "r-1", route="doc"), trace(api, "r-2", status=500))
    shown = await browser.get(f"/requests?{query}")
    assert ids(shown) == expected
    assert ('value="Clínica Norte" maxlength' in shown.text) is ("Norte" in query)
    assert ('name="failed" value="true" checked' in shown.text) is ("failed" in query)


async def test_older_requests_are_a_link_away_with_the_same_filters(api: Api, browser: Browser) -> None:
    await fill(api, *(trace(api, f"r-{number}") for number in range(60)))
    first = await browser.get("/requests?route=new_case")
    [following] = re.findall(r'href="([^"]*)" rel="next"', first.text)
    rest = await browser.get(html.unescape(following))
    assert len(ids(first)) == 50
    assert ids(rest) == [f"r-{number}" for number in range(9, -1, -1)]
    assert 'href="/requests?route=new_case"' in rest.text
    assert 'rel="next"' not in rest.text


async def test_nothing_found_says_what_to_widen(api: Api, browser: Browser) -> None:
    assert "Nothing matches" in (await browser.get("/requests")).text
    shown = await browser.get("/requests?since=1+h&route=doc")
    assert '<a href="/requests?route=doc">Widen the time</a>' in shown.text


@pytest.mark.parametrize(
    ("query", "said"),
    [("status=20", "Write a status"), ("since=yesterday", "Write a time"), ("route=docs", "no such route")],
)
async def test_a_filter_that_can_not_be_read_is_named(browser: Browser, query: str, said: str) -> None:
    shown = await browser.get(f"/requests?{query}")
    assert (shown.status, said in shown.text) == (422, True)


async def test_a_request_is_told_with_its_calls_and_its_comparison(api: Api, browser: Browser) -> None:
    failed = trace(api, "r-1", status=500, cause="llamalitica-timeout", milliseconds=30012)
    compared = RequestTrace("r-1", api.clock(), {"shadow": DIFFERENT})
    await fill(api, failed, compared)
    shown = await browser.get("/requests/r-1")
    text = html.unescape(shown.text)
    assert (shown.status, shown.heading) == (200, 'Request <code id="request-id">r-1</code>')
    for said in (
        "The mode was canary of 5 %, by revision 3.",
        "mode: only the mode decides here, and it says the new side.",
        "llamalitica: POST /api/cases gave no answer (llamalitica-timeout) after 30,000 ms.",
        "`voice` (string) is missing on the new side.",
        '<progress max="30012" value="30000"',
        f'">{NORTH}</a>',
    ):
        assert said in text, said


async def test_a_request_is_told_in_spanish_too(api: Api, browser: Browser) -> None:
    await fill(api, trace(api, "r-1", status=500))
    text = html.unescape((await browser.get("/requests/r-1", Accept_Language="es")).text)
    assert "El modo era canary del 5 %, por la revisión 3." in text
    assert "llamalitica: POST /api/cases no respondió (llamalitica-timeout) en 30.000 ms." in text
    assert "mode: aquí solo decide el modo, que dice el lado nuevo." in text


async def test_an_unknown_id_says_where_to_look(browser: Browser) -> None:
    shown = await browser.get("/requests/a/b%20c")
    assert shown.status == 404
    assert "No stored request has this id" in shown.text
    assert 'href="/requests?id=a/b%20c"' in shown.text


async def test_an_id_that_a_client_chose_is_only_text(api: Api, browser: Browser) -> None:
    await fill(api, trace(api, '<b>"&/?#%'))
    listed = await browser.get("/requests")
    assert ids(listed) == ['<b>"&/?#%']
    [link] = re.findall(r'href="(/requests/[^"?]+)" title', listed.text)
    assert "&lt;b&gt;" in (await browser.get(html.unescape(link))).text
    assert "<b>" not in listed.text
