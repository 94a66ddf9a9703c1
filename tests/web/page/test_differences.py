"""The view of the differences: by route and field, with what to do about each, in each language."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from proxy.compare import Difference, Kind, Leaf
from proxy.store.rollout.evidence import Outcome
from tests.conftest import Api, StartProxy
from tests.web.page.browsing import EVA, TOKENS, Browser, Shown, browsing

NORTE: Final = "Clínica Norte"
OTHER: Final = "f" * 12
KEY: Final = {
    "route": "doc",
    "path": "document.title",
    "kind": "value",
    "control_type": "string",
    "candidate_type": "string",
}


@asynccontextmanager
async def differing(start_proxy: StartProxy, token: str | None = None) -> AsyncIterator[tuple[Browser, Api]]:
    """Starts a proxy that has compared doc 1,240 times under its mapping, and once under another one."""
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        store, digest = api.proxy.deps.store, api.proxy.moving.live.now.table.routes["doc"].digest
        outcomes = [ended(api, "match", digest)] * 1237
        outcomes += [ended(api, "difference", digest, ("document.title", "value"), ("", "status"))] * 3
        outcomes += [ended(api, "difference", OTHER, ("metadata.files[]", "order"))]
        outcomes += [ended(api, "dropped:control-failed", digest)] * 2
        outcomes += [Outcome("query", "", "match", (), "")] * 5
        await store.evidence.add(outcomes=outcomes, at=api.clock())
        await (browser.log_in(token) if token else browser.log_in())
        yield browser, api


def ended(api: Api, how: str, mapping: str, *differences: tuple[str, Kind]) -> Outcome:
    leaves = {"status": (Leaf("200", None, None), Leaf("404", None, None))}
    text = Leaf("string", 20, "a" * 16), Leaf("string", 24, "b" * 16)
    found = tuple(Difference(path, kind, *leaves.get(kind, text)) for path, kind in differences)
    return Outcome("doc", api.proxy.deps.store.sealer.organization(NORTE), how, found, mapping)


def texts(shown: Shown) -> str:
    """Returns what a person reads, with single blanks."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown.text)).split())


async def test_each_field_has_its_figures_under_the_mapping_that_counts(start_proxy: StartProxy) -> None:
    async with differing(start_proxy) as (browser, _):
        shown = await browser.get("/differences")
    read = texts(shown)
    assert (shown.status, shown.heading) == (200, "Differences")
    assert "3 of 1,240 comparisons differ." in read
    assert "other value string → string length 20 → 24" in read
    assert "3 of 1,240: 0.24% at most 0.62%; 0.5% allowed" in read
    assert "status 200 → 404" in read
    assert "The old server itself failed 2 times" in read
    assert "None in 5 comparisons." in read
    assert "metadata.files" not in read


async def test_the_tree_has_each_object_before_its_fields(start_proxy: StartProxy) -> None:
    async with differing(start_proxy) as (browser, _):
        shown = await browser.get("/differences?route=doc&mapping=all")
    heads = re.findall(r'<th scope="(rowgroup|row)"[^>]*>(?:<code>)?([^<]+)', shown.text)
    assert heads == [
        ("rowgroup", "The answer"),
        ("row", "the whole answer"),
        ("rowgroup", "document"),
        ("row", "title"),
        ("rowgroup", "metadata.files"),
        ("row", "[]"),
    ]
    assert "earlier mapping" in texts(shown)
    assert OTHER in shown.text


async def test_one_mapping_can_be_looked_at_alone(start_proxy: StartProxy) -> None:
    async with differing(start_proxy) as (browser, _):
        read = texts(await browser.get(f"/differences?mapping={OTHER}"))
    assert ("other order" in read, "other value" in read) == (True, False)


async def test_the_lines_for_the_mapping_are_shown(start_proxy: StartProxy) -> None:
    async with differing(start_proxy) as (browser, _):
        shown = await browser.get("/differences?route=doc")
    lines = [html.unescape(each) for each in re.findall(r"<pre[^>]*>(.*?)</pre>", shown.text)]
    assert 'volatile = ["document.timestamp", "metadata.creationDate", "document.title"]' in lines
    assert all(each.startswith(("ignore = ", "volatile = ")) for each in lines)


async def test_a_reason_is_noted_once_and_changes_no_figure(start_proxy: StartProxy) -> None:
    async with differing(start_proxy) as (browser, api):
        form = {**KEY, "shown": "doc", "mapping": "all", "reason": "<b>Capitals</b> only"}
        noted = await browser.post("/differences", form)
        assert noted.url.path_qs == "/differences?route=doc&mapping=all&noted=1"
        assert "&lt;b&gt;Capitals&lt;/b&gt; only" in noted.text
        assert "4 of 1,241 comparisons differ." in texts(noted)
        [event] = await api.proxy.deps.store.audit.all()
    assert (event.actor, event.action) == ("ana", "difference_explained")
    assert '"via": "page"' in event.detail


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"reason": " "}, 422, "The reason needs 1 to 300 printable characters"),
        ({"reason": "x" * 301}, 422, "The reason needs 1 to 300 printable characters"),
        ({"path": "document.none"}, 404, "There is nothing here"),
        ({"route": "docs"}, 404, "There is nothing here"),
    ],
)
async def test_what_cant_be_noted_is_said(
    start_proxy: StartProxy, changes: dict[str, str], status: int, said: str
) -> None:
    async with differing(start_proxy) as (browser, api):
        refused = await browser.post("/differences", {**KEY, "reason": "x", **changes})
        assert (refused.status, said in texts(refused)) == (status, True)
        assert await api.proxy.deps.store.audit.all() == []


async def test_who_only_reads_gets_no_form(start_proxy: StartProxy) -> None:
    async with differing(start_proxy, EVA) as (browser, _):
        assert 'class="explain"' not in (await browser.get("/differences")).text
        assert (await browser.post("/differences", {**KEY, "reason": "x"})).status == 403


@pytest.mark.parametrize("query", ["cursor=x", "route=docs"])
async def test_a_query_that_leads_nowhere_is_an_error_page(start_proxy: StartProxy, query: str) -> None:
    async with differing(start_proxy) as (browser, _):
        assert (await browser.get(f"/differences?{query}")).status in (404, 422)


async def test_without_a_comparison_it_says_what_to_do(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in()
        assert "Nothing was compared yet" in texts(await browser.get("/differences"))


async def test_it_speaks_spanish(start_proxy: StartProxy) -> None:
    async with differing(start_proxy) as (browser, _):
        read = texts(await browser.get("/differences", Accept_Language="es"))
    assert "Difieren 3 de 1.240 comparaciones." in read
    assert "otro valor" in read


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            [
                "Comparisons ✓ ok 1,240 of 1,000",
                "Share that differs, upper bound ✕ NO 0.62%, at most 0.5%",
                "Dry runs that failed ✓ ok 0, at most 0",
                "Age of the newest contract run ✕ NO never run; at most 7 days",
                "Under other mappings, not counted: 1.",
                "The old server itself failed 2 times",
            ],
        ),
        ("es", ["Comparaciones ✓ bien 1.240 de 1.000", "✕ NO nunca ejecutada; como máximo 7 días"]),
    ],
)
async def test_a_route_has_can_switchs_conditions_as_a_checklist(
    start_proxy: StartProxy, language: str, said: list[str]
) -> None:
    async with differing(start_proxy) as (browser, _):
        shown = await browser.get("/routes/doc", Accept_Language=language)
    read = texts(shown)
    assert [each for each in said if each not in read] == [], read
    assert len(re.findall(r"<(?:progress|meter) ", shown.text)) >= 6
