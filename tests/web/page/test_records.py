"""The views of the store's records: clients and audit."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from proxy.store import StoreError
from proxy.store.audit.trail_search import AuditPart, TrailSearch
from proxy.store.audit.usage import Visit
from tests.conftest import Api, StartProxy
from tests.damage import damage
from tests.web.admin.operators import Operator
from tests.web.page.browsing import ANA, EVA, TOKENS, Browser, browsing

pytestmark = pytest.mark.here_only("the store's part is tested on both engines")

SUNSET: Final = "\n[notice]\nsunset = 2030-01-01\n"


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    edit = {"doc": lambda text: text + SUNSET}
    async with start_proxy(edit, legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        yield started


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with browsing(api) as opened:
        await opened.log_in()
        yield opened


async def called(api: Api, route: str, organization: str, days: int) -> None:
    at = api.clock() - timedelta(days=days)
    scope = api.proxy.deps.store.sealer.organization(organization)
    visit = Visit(
        "k" * 64, "u" * 64, organization, scope, "<b>okhttp</b>", route, "shadow", 200, at, "legacy"
    )
    await api.proxy.deps.store.evidence.add(outcomes=[], seen=[], visits=[visit], stories=[], at=at)


def row_of(text: str, name: str) -> str:
    """Returns the text of the table row with this heading, its cells apart by `|`."""
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    [found] = [each for each in rows if re.search(rf"<th scope=\"row\"[^>]*>(<a[^>]*>)?{name}<", each)]
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", found, re.DOTALL)
    return "|".join(" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells)


async def test_who_still_calls_a_route_is_one_click_away(api: Api, browser: Browser) -> None:
    await called(api, "query", "Clínica Norte", 1)
    await called(api, "query", "Sur", 20)
    await called(api, "doc", "Sur", 2)
    shown = await browser.get("/clients")
    assert row_of(shown.text, "query").split("|")[1:4] == ["1", "1", "1"]
    assert 'href="/clients?route=query"' in shown.text
    query = await browser.get("/clients?route=query")
    clients = query.text[query.text.index('id="clients"') :]
    last = (api.clock() - timedelta(days=1)).date()
    assert (
        row_of(clients, "Clínica Norte")
        == f"Clínica Norte|query|{last}|legacy|1|&lt;b&gt;okhttp&lt;/b&gt;|{'k' * 12}|1"
    )
    assert "not seen for 14 days" in row_of(clients, "Sur")
    assert "[[brownouts]]" in query.text
    assert "2030-01-01" in row_of(query.text, "doc")


async def test_clients_are_filtered_by_organization_and_silence(api: Api, browser: Browser) -> None:
    await called(api, "query", "Clínica Norte", 1)
    await called(api, "query", "Sur", 20)
    for path, present in [
        ("/clients?organization=Sur", {"Sur"}),
        ("/clients?silent=1&route=query", {"Sur"}),
        ("/clients?route=doc&organization=Sur", set[str]()),
        ("/clients?route=none", {"Sur", "Clínica Norte"}),
    ]:
        text = (await browser.get(path)).text
        rows = text[text.index('id="clients"') :]
        assert {name for name in ("Sur", "Clínica Norte") if f">{name}<" in rows} == present, path


async def test_a_route_that_nobody_calls_can_go_off(api: Api, browser: Browser) -> None:
    assert "A client is listed after its first call, and for 90 days" in (await browser.get("/clients")).text
    for _ in range(2):
        shown = await browser.get("/clients?route=query")
        assert "Nobody calls query any more: it can go off" in shown.text
        assert 'href="/routes/query"' in shown.text
        assert "[[brownouts]]" not in shown.text
        await called(api, "query", "Sur", 20)


async def test_the_clients_are_a_spreadsheet_too(api: Api, browser: Browser) -> None:
    await called(api, "query", "=HYPERLINK()", 1)
    await called(api, "doc", "Sur", 1)
    saved = await browser.get("/clients.csv?route=query")
    assert saved.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert saved.headers["Content-Disposition"] == 'attachment; filename="clients-query.csv"'
    assert "'=HYPERLINK()" in saved.text
    assert "Sur" not in saved.text


async def test_the_audit_says_in_sentences_who_did_what(api: Api, browser: Browser) -> None:
    operator = Operator(api.http, api.proxy.admin_url, ANA)
    await called(api, "doc", "Clínica Norte", 1)
    await operator.set_mode("doc", "canary", organization="Clínica Norte", percent=5, reason="<i>try</i>")
    await operator.roll_back(reason="enough")
    store, now = api.proxy.deps.store, api.clock()
    await store.audit.add("f" * 64, "case_accessed", "e" * 64, now, '{"route": "doc"}')
    await store.audit.add("ana", "something_new", "*", now, "by hand")
    shown = await browser.get("/audit")
    text = " ".join(re.sub(r"<[^>]+>", " ", shown.text).split())
    assert "ana set doc for Clínica Norte to canary 5% &lt;i&gt;try&lt;/i&gt;" in text
    assert "ana took back change 1 of doc for Clínica Norte enough" in text
    assert "ana : something_new" in text
    assert "opened the case" not in text
    everything = await browser.get("/audit?action=all")
    assert f"user {'f' * 12}</strong> opened the case {'e' * 12} by" in everything.text
    spanish = await browser.get("/audit", Accept_Language="es")
    assert "<strong>ana</strong> deshizo el cambio 1 de" in spanish.text


async def test_the_audit_is_filtered_and_read_in_parts(api: Api, browser: Browser) -> None:
    store = api.proxy.deps.store
    for number in range(60):
        detail = json.dumps({"route": "doc" if number % 2 else "query", "mode": "off", "revision": number})
        await store.audit.add("ana" if number % 3 else "eva", "mode_set", "*", api.clock(), detail)
    numbers = r"<th scope=\"row\" class=\"figure\">(\d+)</th>"
    first = await browser.get("/audit")
    assert [int(each) for each in re.findall(numbers, first.text)] == [*range(60, 10, -1)]
    [older] = re.findall(r'rel="next" href="([^"]+)"', first.text)
    rest = await browser.get(older)
    assert [int(each) for each in re.findall(numbers, rest.text)] == [*range(10, 0, -1)]
    assert 'rel="next"' not in rest.text
    for query, count in [
        ("actor=eva", 20),
        ("route=query", 30),
        ("route=query&actor=eva", 10),
        ("organization=none", 0),
        ("since=1+h", 50),
        ("until=1+h", 0),
        ("since=2020-01-01T00:00Z&until=2020-01-02T00:00Z", 0),
        ("action=user_erased", 50),
    ]:
        shown = await browser.get(f"/audit?{query}")
        assert len(re.findall(numbers, shown.text)) == count, query
        assert (count > 0) or "Nothing matches" in shown.text
    odd = await browser.get("/audit?since=soon&route=none&before=x")
    assert len(re.findall(numbers, odd.text)) == 50
    assert "<code>route</code> <code>since</code>" in odd.text


async def test_the_audit_is_exported_whole_by_the_same_filters(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.web.page.views.audit._EXPORTED", 2)
    for number in range(5):
        await api.proxy.deps.store.audit.add("ana", "mode_set", "*", api.clock(), f'{{"revision": {number}}}')
    await api.proxy.deps.store.audit.add("eva", "mode_set", "*", api.clock())
    saved = await browser.get("/audit.jsonl?actor=ana")
    rows = [json.loads(line) for line in saved.text.splitlines()]
    assert saved.headers["Content-Type"] == "application/jsonl; charset=utf-8"
    assert [each["id"] for each in rows] == [5, 4, 3, 2, 1]
    assert rows[0]["detail"] == {"revision": 4}


async def test_the_chain_is_verified_when_an_operator_asks(
    api: Api, browser: Browser, tmp_path: Path
) -> None:
    store = api.proxy.deps.store
    await store.audit.add("ana", "mode_set", "*", api.clock())
    _, end = await store.trail.end() or (0, "")
    shown = await browser.get("/audit")
    assert end in shown.text
    assert "The chain is whole" not in shown.text
    verified = await browser.post("/audit")
    assert "The chain is whole" in verified.text
    assert end in verified.text
    async with browsing(api) as reader:
        assert "Verify the whole chain" not in (await reader.log_in(EVA, "/audit")).text
        assert (await reader.post("/audit")).status == 403
    await damage(tmp_path, "UPDATE audit SET actor = 'eva'")
    broken = await browser.post("/audit")
    assert "The chain is broken" in broken.text


async def test_an_export_that_breaks_off_does_not_look_whole(
    api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, parts = TrailSearch.part, iter([True, False])

    async def once(self: TrailSearch, *arguments: Any) -> AuditPart:
        if not next(parts):
            raise StoreError("gone")
        return await trail(self, *arguments)

    for _ in range(3):
        await api.proxy.deps.store.audit.add("ana", "mode_set", "*", api.clock())
    monkeypatch.setattr("proxy.web.page.views.audit._EXPORTED", 1)
    monkeypatch.setattr(TrailSearch, "part", once)
    with pytest.raises(aiohttp.ClientPayloadError):
        await browser.get("/audit.jsonl")
