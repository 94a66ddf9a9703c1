"""The view of a route, and the one dialog of every change: what it shows, refuses, makes and undoes."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest

from proxy.modes import Change, Override
from proxy.store.audit.usage import Visit
from tests.conftest import Api, StartProxy
from tests.web.page.browsing import ANA, EVA, TOKENS, Browser, Shown, browsing

ROUTE: Final = "/routes/new_case"
CHANGE: Final = f"{ROUTE}/change"
NORTE: Final = "Clínica Norte"
OTHERS: Final = ("Clínica Sur", "Clínica Este")


@asynccontextmanager
async def at_page(start_proxy: StartProxy, token: str = ANA) -> AsyncIterator[tuple[Api, Browser]]:
    """Starts a proxy with a legacy server, three organizations that call newCase, and an operator."""
    async with start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        await called(api, NORTE, *OTHERS)
        async with browsing(api) as browser:
            assert (await browser.log_in(token)).status == 200
            yield api, browser


@pytest.fixture
async def opened(start_proxy: StartProxy) -> AsyncIterator[tuple[Api, Browser]]:
    async with at_page(start_proxy) as both:
        yield both


async def called(api: Api, *names: str) -> None:
    store, now = api.proxy.deps.store, api.clock()
    visits = [
        Visit("k", "u", name, store.sealer.organization(name), "okhttp", "new_case", "legacy", 200, now)
        for name in names
    ]
    await store.evidence.add(visits=visits, at=now)


async def set_to(api: Api, mode: Any, *, actor: str = "luis", **more: Any) -> Override:
    """Makes a change as somebody else."""
    change = Change(actor=actor, route="new_case", mode=mode, reason="of the test", **more)
    return await api.proxy.deps.store.overrides.change(change, expected=None, at=api.clock())


def text_of(shown: Shown) -> str:
    """Returns what the page says in its main part, in one line."""
    main = shown.text[shown.text.index("<main") : shown.text.index("</main>")]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def fields_of(shown: Shown) -> dict[str, str]:
    """Returns the values of the form that makes the change, as a browser would send them."""
    [form] = re.findall(r'<form class="confirm".*?</form>', shown.text, re.DOTALL)
    inputs = re.findall(r"<input [^>]*>", form)
    named = [(re.search(r'name="(\w+)"', each), re.search(r'value="([^"]*)"', each)) for each in inputs]
    return {
        name[1]: html.unescape(value[1])
        for (name, value), each in zip(named, inputs, strict=True)
        if name and value and ('type="checkbox"' not in each or " checked" in each)
    }


def hash_of(api: Api, name: str = NORTE) -> str:
    return api.proxy.deps.store.sealer.organization(name)


async def modes(api: Api) -> list[tuple[str | None, str | None]]:
    """Returns what is in force of newCase in the store, by organization."""
    found = (await api.proxy.deps.store.overrides.load()).all_in_force(api.clock())
    return [(each.organization, each.mode) for each in found]


@pytest.mark.on_both
async def test_one_organization_is_moved_to_the_new_side_and_back_in_five_steps(
    opened: tuple[Api, Browser],
) -> None:
    api, browser = opened
    await set_to(api, "legacy")
    steps = 0
    for side, link in (("new", "to the new side"), ("legacy", "to the old server")):
        first = await browser.get("/")
        assert f'href="{ROUTE}"' in first.text
        route = await browser.get(ROUTE)  # 1: a click
        rows = [each for each in re.findall(r"<tr>.*?</tr>", route.text, re.DOTALL) if NORTE in each]
        [address] = re.findall(rf'href="([^"]+)"[^>]*>{link}<', rows[0])
        dialog = await browser.get(html.unescape(address))  # 2: a click
        assert f"new_case ({NORTE})" in text_of(dialog)
        despite = {"despite": "yes"} if 'name="despite"' in dialog.text else {}  # 4: a click
        assert 'name="typed"' not in dialog.text
        made = await browser.post(CHANGE, {**fields_of(dialog), "reason": "They asked", **despite})  # 3, 5
        assert (made.status, made.url.path) == (200, ROUTE)
        assert (NORTE, side) in await modes(api)
        steps = max(steps, 4 + len(despite))
    assert steps <= 5


async def test_a_change_at_the_page_is_in_the_audit_by_its_operator_and_via(
    opened: tuple[Api, Browser],
) -> None:
    api, browser = opened
    dialog = await browser.get(f"{CHANGE}?mode=shadow&until=1+h")
    made = await browser.post(CHANGE, {**fields_of(dialog), "reason": "Begin"})
    assert "Followed by 1 of 1 processes in" in text_of(made)
    [(_, event)] = await api.proxy.deps.store.audit.newest(1)
    assert (event.actor, event.action, '"via": "page"' in event.detail) == ("ana", "mode_set", True)
    [override] = (await api.proxy.deps.store.overrides.load()).all_in_force(api.clock())
    assert override.until is not None
    assert timedelta(minutes=59) < override.until - override.at <= timedelta(hours=1)


async def test_the_dialog_shows_before_and_after_of_each_organization_that_moves(
    opened: tuple[Api, Browser],
) -> None:
    api, browser = opened
    await set_to(api, "legacy")
    await set_to(api, "legacy", organization=OTHERS[0])
    said = text_of(await browser.get(f"{CHANGE}?mode=new"))
    assert "new_case (everyone): legacy → new" in said
    assert f"{NORTE} old server new side everyone's override 1" in said
    assert f"{OTHERS[0]} old server" not in said
    assert "2 organizations would move: 2 of 3 calls an hour" in said
    assert "Only new cases move: a case stays on the side that made it." in said


async def test_going_forward_needs_the_word_despite_and_the_routes_name(opened: tuple[Api, Browser]) -> None:
    api, browser = opened
    await set_to(api, "legacy")
    dialog = await browser.get(f"{CHANGE}?mode=new")
    assert "Comparisons: 0 of 1,000" in text_of(dialog)
    form = {**fields_of(dialog), "reason": "now"}
    for more, said in [
        ({}, "The evidence says no"),
        ({"despite": "yes"}, "Type the name of the route"),
        ({"despite": "yes", "typed": "newcase"}, "Type the name of the route"),
        ({"typed": "new_case"}, "The evidence says no"),
    ]:
        refused = await browser.post(CHANGE, {**form, **more})
        assert (refused.status, said in text_of(refused)) == (422, True)
        assert fields_of(refused)["reason"] == "now"
    assert await modes(api) == [(None, "legacy")]
    made = await browser.post(CHANGE, {**form, "despite": "yes", "typed": "new_case"})
    assert (made.url.path, await modes(api)) == (ROUTE, [(None, "new")])


@pytest.mark.on_both
async def test_who_was_too_late_is_told_who_changed_what_and_keeps_the_reason(
    opened: tuple[Api, Browser],
) -> None:
    api, browser = opened
    dialog = await browser.get(f"{CHANGE}?mode=shadow")
    await set_to(api, "off", actor="luis")
    late = await browser.post(CHANGE, {**fields_of(dialog), "reason": "Begin to compare"})
    assert late.status == 412
    assert "somebody else made a change meanwhile" in text_of(late)
    assert "luis – new_case (everyone): off . of the test" in text_of(late)
    assert "new_case (everyone): off → shadow" in text_of(late)
    again = fields_of(late)
    assert (again["reason"], again["revision"]) == ("Begin to compare", "1")
    assert (await browser.post(CHANGE, again)).status == 200
    assert await modes(api) == [(None, "shadow")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "nonsense"}, "Choose a mode"),
        ({"mode": "canary", "percent": ""}, "Write the percentage"),
        ({"mode": "canary", "percent": "101"}, "from 0 to 100"),
        ({"mode": "canary", "percent": "nan"}, "from 0 to 100"),
        ({"mode": "off", "end": "tomorrow"}, "Write an end"),
        ({"mode": "off", "end": "2020-01-01T00:00:00Z"}, "in the past"),
        ({"mode": "off", "organization": "f" * 64}, "This organization can't be chosen"),
        ({"mode": "rollback"}, "no change of this route left"),
        ({"mode": "shadow", "reason": ""}, "Write a reason"),
        ({"mode": "shadow", "reason": "x" * 301}, "the reason needs 1 to 300"),
        ({"mode": "clear"}, "This is in force already"),
    ],
)
async def test_what_can_not_be_meant_is_refused_and_said(
    opened: tuple[Api, Browser], fields: dict[str, str], said: str
) -> None:
    api, browser = opened
    refused = await browser.post(CHANGE, {"reason": "x", "revision": "0", "typed": "new_case", **fields})
    assert (refused.status, said in text_of(refused)) == (422, True)
    assert await api.proxy.deps.store.overrides.revision() == 0


@pytest.mark.parametrize(
    ("mode", "after"), [("rollback", [(None, "shadow")]), ("clear", []), ("legacy", [(None, "legacy")])]
)
async def test_going_back_goes_through_the_same_dialog(
    opened: tuple[Api, Browser], mode: str, after: list[tuple[str | None, str]]
) -> None:
    api, browser = opened
    await set_to(api, "shadow")
    await set_to(api, "off")
    dialog = await browser.get(f"{CHANGE}?mode={mode}")
    typed = {"typed": "new_case"} if 'name="typed"' in dialog.text else {}
    await browser.post(CHANGE, {**fields_of(dialog), "reason": "enough", **typed})
    assert await modes(api) == after


@pytest.mark.on_both
async def test_a_change_is_undone_by_one_click_and_so_is_its_undoing(opened: tuple[Api, Browser]) -> None:
    api, browser = opened
    await set_to(api, "shadow")
    dialog = await browser.get(f"{CHANGE}?mode=off")
    await browser.post(CHANGE, {**fields_of(dialog), "reason": "x", "typed": "new_case"})
    undone = await browser.post(f"{ROUTE}/undo", {"revision": "2"})
    assert (undone.url.path, await modes(api)) == (ROUTE, [(None, "shadow")])
    assert 'name="revision" value="3"' in undone.text
    await browser.post(f"{ROUTE}/undo", {"revision": "3"})
    assert await modes(api) == [(None, "off")]


async def test_a_late_undo_or_one_of_an_older_change_shows_the_dialog_and_changes_nothing(
    opened: tuple[Api, Browser],
) -> None:
    api, browser = opened
    await set_to(api, "shadow")
    await set_to(api, "off")
    older = await browser.post(f"{ROUTE}/undo", {"revision": "1"})
    api.clock.ahead = timedelta(seconds=11)
    late = await browser.post(f"{ROUTE}/undo", {"revision": "2"})
    for each in (older, late):
        assert each.url.path_qs == f"{CHANGE}?mode=rollback"
        assert "new_case (everyone): off → shadow" in text_of(each)
    assert await api.proxy.deps.store.overrides.revision() == 2


async def test_who_only_reads_sees_the_route_and_a_preview_and_no_form(start_proxy: StartProxy) -> None:
    async with at_page(start_proxy, EVA) as (api, browser):
        route, preview = await browser.get(ROUTE), await browser.get(f"{CHANGE}?mode=shadow")
        assert NORTE in text_of(route)
        assert f"{ROUTE}/change" not in route.text
        assert 'method="post" action="/routes' not in route.text + preview.text
        refused = await browser.post(CHANGE, {"mode": "shadow", "reason": "x", "revision": "0"})
        assert (refused.status, (await browser.post(f"{ROUTE}/undo", {"revision": "0"})).status) == (403, 403)
        assert await api.proxy.deps.store.overrides.revision() == 0


async def test_a_route_says_who_answers_whom_and_what_was_changed(opened: tuple[Api, Browser]) -> None:
    api, browser = opened
    await set_to(api, "canary", percent=0.0)
    await set_to(api, "new", organization=NORTE)
    said = text_of(await browser.get(ROUTE))
    assert f"{NORTE} new side new its own override 1" in said
    assert f"{OTHERS[0]} old server canary 0% percentage (bucket" in said
    assert "never compared" in said
    assert "Set by luis: of the test" in said
    assert "Can it switch? ✕ no" in said


async def test_a_route_that_was_never_in_shadow_offers_it(opened: tuple[Api, Browser]) -> None:
    api, browser = opened
    await set_to(api, "legacy")
    shown = await browser.get(ROUTE)
    assert "Never in shadow: it costs the client nothing and sends nothing." in text_of(shown)
    assert f'href="{CHANGE}?mode=shadow"' in shown.text


async def test_there_is_no_view_of_a_route_that_there_is_not(opened: tuple[Api, Browser]) -> None:
    _, browser = opened
    for path in ("/routes/none", "/routes/none/change?mode=off"):
        assert (await browser.get(path)).status == 404


async def test_without_a_legacy_server_a_mode_that_needs_it_can_not_be_made(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in()
        refused = await browser.post(CHANGE, {"mode": "shadow", "reason": "x", "revision": "0"})
        assert (refused.status, "MICHIQ_LEGACY_URL is not set" in text_of(refused)) == (422, True)
        assert "to the old server" not in text_of(await browser.get(ROUTE))
