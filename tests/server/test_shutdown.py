"""The shutdown: readiness first, connections end with their answers, requests finish, the listener closes."""

import asyncio
import json
from asyncio import IncompleteReadError
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy.sandbox import Fault
from proxy.server import receiving
from tests.beside import Office, two_proxies
from tests.conftest import Api, StartProxy
from tests.flows._client import created, until
from tests.flows._wire import committed, form, new_case, part
from tests.keepalive import Connection, Reply, get

CASE = new_case(form(part("ehr", '{"id": "p-1"}'), part("conversation", "Hola.")))
HALF = len(CASE) // 2
CASES = get("/michiQ/encounters")  # answered 401: nobody asks who it is
READY = get("/readyz")


@dataclass
class Ended:
    """A proxy in a task of its own, which can be ended and awaited."""

    api: Api
    told: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(start_proxy: StartProxy, **environ: str) -> AsyncIterator[Ended]:
    started: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with start_proxy(**environ) as api:
            proxy = Ended(api)
            started.set_result(proxy)
            await proxy.told.wait()
        proxy.gone.set()

    task = asyncio.create_task(serve())
    async with asyncio.timeout(30):
        proxy = await started
    try:
        yield proxy
    finally:
        proxy.told.set()
        await task


@asynccontextmanager
async def notified(api: Api) -> AsyncIterator[None]:
    """Starts the shutdown; returns while load balancers have time to notice it."""
    notice = asyncio.create_task(api.proxy.ending.notice())
    await asyncio.sleep(0)
    yield
    assert not notice.done()
    notice.cancel()
    with suppress(asyncio.CancelledError):
        await notice


async def ask(url: str, data: bytes) -> Reply:
    """Sends the request on a connection of its own."""
    connection = await Connection.open(url)
    try:
        return await connection.ask(data)
    finally:
        connection.close()


async def refused(url: str) -> bool:
    try:
        (await Connection.open(url)).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_what_is_told_first_is_that_it_is_not_ready_and_requests_are_answered_as_before(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_DRAIN_SECONDS="60") as api:
        before = await ask(api.proxy.admin_url, READY)
        assert (before.status, before.last) == (200, False)
        async with notified(api):
            after = await ask(api.proxy.admin_url, READY)
            assert (after.status, json.loads(after.body)["reasons"]) == (503, ["draining"])
            answers = [await ask(api.url, data) for data in (CASES, CASE)]
    assert [(answer.status, answer.last) for answer in answers] == [(401, True), (200, True)]


async def test_a_connection_that_was_open_before_learns_by_its_next_answer_that_it_ends(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_DRAIN_SECONDS="60") as api:
        connection = await Connection.open(api.url)
        assert not (await connection.ask(CASES)).last
        async with notified(api):
            assert (await connection.ask(CASES)).last
            assert await connection.ended()
        connection.close()


async def test_a_request_that_was_under_way_before_ends_its_connection(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_DRAIN_SECONDS="60") as api:
        connection = await Connection.open(api.url)
        connection.send(CASE[:HALF])
        await until(lambda: bool(_busy(api)))
        async with notified(api):
            reply = await connection.ask(CASE[HALF:])
            assert (reply.status, reply.last) == (200, True)
            assert await connection.ended()
        connection.close()


async def test_what_the_legacy_server_answers_is_the_last_of_its_connection_too(
    start_proxy: StartProxy,
) -> None:
    def legacy(text: str) -> str:
        return text.replace('mode = "new"', 'mode = "legacy"')

    long = {"MICHIQ_DRAIN_SECONDS": "60"}
    async with start_proxy({"encounters": legacy}, legacy=True, **long) as api, notified(api):
        reply = await ask(api.url, CASES)
        assert (reply.status, reply.last, len(api.sandbox.michiq.calls)) == (401, True, 1)


async def test_the_listener_is_open_as_long_as_a_request_is_under_way_and_closed_after_it(
    start_proxy: StartProxy,
) -> None:
    async with serving(start_proxy, MICHIQ_DRAIN_SECONDS="60") as proxy:
        connection = await Connection.open(proxy.api.url)
        connection.send(CASE[:HALF])
        await until(lambda: bool(_busy(proxy.api)))
        proxy.told.set()
        assert (await ask(proxy.api.url, CASES)).last
        assert (await ask(proxy.api.proxy.admin_url, READY)).status == 503
        assert (await connection.ask(CASE[HALF:])).status == 200
        await proxy.gone.wait()
        assert await refused(proxy.api.url)
        connection.close()


async def test_connections_without_a_request_do_not_keep_it_from_ending(start_proxy: StartProxy) -> None:
    async with serving(start_proxy, MICHIQ_DRAIN_SECONDS="60") as proxy:
        connections = [await Connection.open(proxy.api.url) for _ in range(3)]
        for connection in connections:
            assert (await connection.ask(CASES)).status == 401
        proxy.told.set()
        async with asyncio.timeout(20):
            assert [await connection.ended() for connection in connections] == [True] * 3
            await proxy.gone.wait()
        for connection in connections:
            connection.close()


async def test_what_is_not_answered_by_the_end_is_cut_off(start_proxy: StartProxy) -> None:
    async with serving(start_proxy, MICHIQ_DRAIN_SECONDS="1") as proxy:
        connection = await Connection.open(proxy.api.url)
        connection.send(CASE[:HALF])
        await until(lambda: bool(_busy(proxy.api)))
        proxy.told.set()
        with pytest.raises((IncompleteReadError, ConnectionError)):
            await connection.reply()
        async with asyncio.timeout(20):
            await proxy.gone.wait()
        connection.close()


async def test_a_client_that_pauses_in_its_body_does_not_hold_up_the_end(
    start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body may pause for a minute before the shutdown, however often the proxy checks for its end."""
    monkeypatch.setattr(receiving, "IDLE_SECONDS", 0.05)
    async with serving(start_proxy, MICHIQ_DRAIN_SECONDS="60") as proxy:
        connection = await Connection.open(proxy.api.url)
        connection.send(CASE[:-20])
        await until(lambda: bool(_busy(proxy.api)))
        for _ in range(3):
            assert (await ask(proxy.api.url, CASE)).status == 200
        assert _busy(proxy.api)
        proxy.told.set()
        async with asyncio.timeout(20):
            reply = await connection.reply()
            assert (reply.status, reply.headers["x-michiq-cause"]) == (400, "body-stalled")
            await proxy.gone.wait()
        connection.close()


async def test_case_N18_of_a_client_that_left_is_recorded_before_the_store_is_closed(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with serving(start_proxy, MICHIQ_DRAIN_SECONDS="60") as proxy:
        proxy.api.sandbox.llamalitica.faults.add(Fault(kind="delay", method="POST", delay=0.3))
        connection = await Connection.open(proxy.api.url)
        connection.send(CASE)
        await until(lambda: bool(created(proxy.api)))
        connection.close()
        proxy.told.set()
        await proxy.gone.wait()
    assert committed(tmp_path, "SELECT state FROM journal") == [("recorded",)]


async def test_one_that_is_replaced_lets_nobody_in_and_sees_its_own_clients_out(tmp_path: Path) -> None:
    async with two_proxies(tmp_path, Office(), MICHIQ_DRAIN_SECONDS="60") as (one, _):
        admin, client = await Connection.open(one.proxy.admin_url), await Connection.open(one.url)
        assert [(await client.ask(CASES)).last, (await admin.ask(READY)).last] == [False, False]
        one.proxy.ending.retire()
        assert [await refused(one.url), await refused(one.proxy.admin_url)] == [True, True]
        ready, answer = await admin.ask(READY), await client.ask(CASES)
        assert (ready.status, ready.last, answer.status, answer.last) == (200, True, 401, True)
        for connection in (admin, client):
            connection.close()


def _busy(api: Api) -> list[Any]:
    """Returns the connections with bytes that are not answered yet."""
    [_, listener] = api.proxy.ending._listeners
    return [each for each in listener._connections() if not each.idle]
