"""The stream of events over real sockets: ticks, changes, and how a stream ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import pytest

from proxy.web.stream import hub
from tests.conftest import Api, StartProxy, bearer
from tests.web.admin.operators import ANA, TOKENS, Operator, said
from tests.web.page.browsing import TOKENS as PAGE_TOKENS
from tests.web.page.browsing import Browser, browsing

SECONDS: Final = 10.0


@pytest.fixture
async def api(start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr(hub, "TICK_SECONDS", 0.05)
    async with start_proxy(MICHIQ_ADMIN_TOKENS=f"{TOKENS},{PAGE_TOKENS.replace('ana:', 'eme:')}") as api:
        yield api


class Stream:
    """The events of one connection, each a name and its data."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.ids: list[str] = []

    async def next(self) -> tuple[str, dict[str, Any]] | None:
        """Returns the next event; None when the stream has ended."""
        async with asyncio.timeout(SECONDS):
            while block := await self._block():
                fields = dict(line.split(": ", 1) for line in block.splitlines())
                if "event" in fields:
                    self.ids += [fields["id"]] if "id" in fields else []
                    return fields["event"], json.loads(fields["data"])
        return None

    async def until(self, name: str, wanted: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        while found := await self.next():
            if found[0] == name and wanted(found[1]):
                return found[1]
        raise AssertionError(f"the stream ended without {name}")

    async def end(self) -> None:
        """Reads to the end."""
        while await self.next():
            pass

    async def _block(self) -> str:
        with suppress(aiohttp.ClientPayloadError):
            lines = []
            while (line := (await self._response.content.readline()).decode()) not in ("", "\n"):
                lines.append(line)
            return "".join(lines)
        return ""


@asynccontextmanager
async def listening(api: Api, **headers: str) -> AsyncIterator[Stream]:
    url = f"{api.proxy.admin_url}/admin/v1/events"
    async with api.http.get(url, headers={**bearer(ANA), **headers}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield Stream(response)


@asynccontextmanager
async def at_the_page(browser: Browser) -> AsyncIterator[Stream]:
    async with browser._http.get(f"{browser.url}/events") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(response)


async def test_a_tick_has_the_state_of_the_process(api: Api) -> None:
    async with listening(api) as stream:
        first = await stream.until("tick")
        assert await stream.until("tick")
    live = api.proxy.moving.live
    assert (first["revision"], first["mappings"], first["rejected"]) == (0, live.digest, 0)
    assert sum(first["modes"].values()) == len(live.now.table.routes)
    assert first["breakers"] == api.proxy.deps.upstreams.states()


async def test_a_change_reaches_every_client_with_its_revision(api: Api) -> None:
    ana = Operator(api.http, api.proxy.admin_url)
    async with listening(api) as one, listening(api) as other:
        await one.until("tick")
        await ana.set_mode("doc", "off", reason="at night")
        for stream in (one, other):
            change = await stream.until("change")
            assert (change["route"], change["mode"], change["reason"]) == ("doc", "off", "at night")
            assert stream.ids == ["1"]
            assert (await stream.until("tick"))["revision"] == 1


async def test_a_client_that_comes_back_gets_what_it_has_missed(api: Api) -> None:
    ana = Operator(api.http, api.proxy.admin_url)
    for mode in ("off", "new", "off"):
        await ana.set_mode("doc", mode)
    async with listening(api, **{"Last-Event-ID": "1"}) as stream:
        await stream.until("tick")
        assert stream.ids == ["2", "3"]
    for odd in ("x", "-1", "²", "9" * 400, ""):
        async with listening(api, **{"Last-Event-ID": odd}) as stream:
            await stream.until("tick")
            assert stream.ids == []


async def test_the_page_streams_to_a_session_and_not_beyond_it(api: Api) -> None:
    async with browsing(api) as browser:
        assert (await browser.get("/events")).url.path == "/login"
        await browser.log_in("eva-token-0123456789")
        async with at_the_page(browser) as stream:
            await stream.until("tick")
            await browser.post("/logout")
            await stream.end()


async def test_a_session_that_was_ended_elsewhere_streams_no_more(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.web.stream.answer._CHECK_SECONDS", 0.1)
    async with browsing(api) as browser:
        await browser.log_in("eva-token-0123456789")
        async with at_the_page(browser) as stream:
            await stream.until("tick")
            await api.proxy.deps.store.page_sessions.end(next(iter(browser.cookies.values())))
            await stream.end()


async def test_streams_end_as_soon_as_the_process_drains(api: Api) -> None:
    async with listening(api) as stream:
        await stream.until("tick")
        api.proxy.ending._serving.stop()
        await stream.end()


async def test_a_process_has_room_for_so_many_streams_and_for_others_when_they_go(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_MOST_STREAMS", 1)
    ana = Operator(api.http, api.proxy.admin_url)
    async with listening(api) as stream:
        await stream.until("tick")
        refused = await ana.get("events")
        assert (refused.status, refused.answer.header("Retry-After")) == (503, "10")
        assert "no room" in said(refused)["detail"]
    async with asyncio.timeout(SECONDS):
        while (await ana.ask("HEAD", "events")).status != 200:
            pass


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    cut: list[bool] = []
    written: list[bytes] = []

    async def write(event: bytes) -> None:
        written.append(event)

    def waiting() -> int:
        return 4000 * len(written)

    subscription = hub.Subscription("", waiting, lambda: cut.append(True), write)
    for _ in range(10):
        await subscription.put(b"event")
    assert (cut, len(written), subscription.ended.is_set()) == ([True], 5, True)
