"""A route's time limit: it does not run while the client sends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from proxy.web.legacy.time_limit import untimed
from tests.conftest import StartProxy, bearer

TIME = timedelta(seconds=30)


async def test_timeout_G08_counts_from_the_end_of_the_body_and_not_while_the_client_is_waited_for() -> None:
    waits: list[float | None] = []

    async def arriving(limit: asyncio.Timeout) -> AsyncIterator[bytes]:
        for piece in (b"a", b"b"):
            waits.append(limit.when())
            yield piece
        waits.append(limit.when())

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(TIME.total_seconds()) as limit:
        limits = [limit.when() async for _ in untimed(arriving(limit), limit, TIME)]
        assert waits == [None, None, None]
        ends = [*limits, limit.when()]
    assert all(each is not None and each <= loop.time() + TIME.total_seconds() for each in ends)
    assert ends == sorted(ends, key=lambda each: each or 0.0)


async def test_timeout_G08_of_a_route_outlasts_a_client_that_pauses_longer_than_it(
    start_proxy: StartProxy,
) -> None:
    short = {"query": lambda text: text.replace('timeout = "90 s"', 'timeout = "1 s"')}
    async with start_proxy(short) as api:
        made = await api.new_case()

        async def body() -> AsyncIterator[bytes]:
            yield b'{"query": '
            await asyncio.sleep(1.2)  # what a client is slow by
            yield b'""}'

        url = f"{api.url}/michiQ/query/{made['michiq_uuid']}"
        async with api.http.post(url, data=body(), headers=bearer(made["token"])) as response:
            assert (response.status, await response.text()) == (400, "Query no proporcionada")


async def test_timeout_G08_that_is_over_is_no_matter_of_what_still_reads() -> None:
    async def arriving() -> AsyncIterator[bytes]:
        yield b"a"

    async with asyncio.timeout(TIME.total_seconds()) as limit:
        pieces = untimed(arriving(), limit, TIME)
        await asyncio.sleep(0)
    assert [piece async for piece in pieces] == [b"a"]
