"""nginx and HAProxy as shipped, in front of two replicas: another one answers, and no POST is sent twice."""

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpServer

from tests.docker.conftest import Nginx, RunNginx

CANARY: Final = "CANARY-91c4"
POSTS: Final = 20
BODY: Final = b"b" * 20_000
LIMIT: Final = aiohttp.ClientTimeout(total=60)


@dataclass(slots=True)
class Replica:
    """A server that answers, and how often each target and each number of a POST came to it."""

    server: TestServer
    targets: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)

    @property
    def address(self) -> str:
        return f"{self.server.host}:{self.server.port}"


StartReplica = Callable[[], "asyncio.Future[Replica]"]


@pytest.fixture
async def replicas(aiohttp_server: AiohttpServer) -> tuple[Replica, Replica]:
    return await _replica(aiohttp_server), await _replica(aiohttp_server)


async def _replica(aiohttp_server: AiohttpServer) -> Replica:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        replica.targets[request.path] += 1
        replica.numbers[request.headers.get("X-Number", "")] += 1
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    replica = Replica(await aiohttp_server(app))
    return replica


async def statuses(balancer: Nginx, method: str, targets: list[str]) -> list[int]:
    """Sends the requests one after the other, each with its number."""
    found = []
    async with aiohttp.ClientSession(timeout=LIMIT) as http:
        for number, target in enumerate(targets):
            url, body = f"{balancer.url}{target}", BODY if method == "POST" else None
            async with http.request(method, url, data=body, headers={"X-Number": f"{number}"}) as answer:
                found.append(answer.status)
    return found


@pytest.mark.parametrize("target", ["/michiQ/newCase", "/michiQ/uploadAudio/{}"])
async def test_balancer_every_post_is_answered_while_one_replica_refuses_connections(
    target: str, run_balancer: RunNginx, replicas: tuple[Replica, Replica]
) -> None:
    alive, _ = replicas
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        host, port = refusing.getsockname()
        async with run_balancer(alive.address, f"{host}:{port}") as balancer:
            found = await statuses(balancer, "POST", [target.format(number) for number in range(POSTS)])
    assert found == [200] * POSTS
    assert alive.numbers == {f"{number}": 1 for number in range(POSTS)}


@pytest.mark.parametrize("target", ["/michiQ/newCase", "/michiQ/uploadAudio/{}"])
async def test_balancer_N17_a_post_that_a_dying_replica_read_is_never_sent_again(
    target: str, run_balancer: RunNginx, replicas: tuple[Replica, Replica]
) -> None:
    alive, _ = replicas
    read: Counter[str] = Counter()
    async with dying(read) as address, run_balancer(alive.address, address) as balancer:
        found = await statuses(balancer, "POST", [target.format(number) for number in range(POSTS)])
    assert read
    assert not read.keys() & alive.numbers.keys()
    assert {*(read + alive.numbers).values()} == {1}
    assert [number for number, status in enumerate(found) if status != 200] == sorted(map(int, read))
    assert {*found} == {200, 502}


async def test_balancer_an_id_stays_with_one_replica_whatever_is_asked_of_it(
    run_balancer: RunNginx, replicas: tuple[Replica, Replica]
) -> None:
    forms = ("/michiQ/doc/{}", "/michiQ//query/{}", "/app/encounter/{}", "/michiQ/uploadAudio/{}?x=1")
    async with run_balancer(*(each.address for each in replicas)) as balancer:
        for form in forms:
            assert {*await statuses(balancer, "GET", [form.format(n) for n in range(POSTS)])} == {200}
    one, other = ({path.rpartition("/")[2] for path in each.targets} for each in replicas)
    assert one.isdisjoint(other)
    assert one
    assert other


async def test_balancer_new_cases_go_to_every_replica(
    run_balancer: RunNginx, replicas: tuple[Replica, Replica]
) -> None:
    """The path is the same for all of them."""
    async with run_balancer(*(each.address for each in replicas)) as balancer:
        assert {*await statuses(balancer, "POST", ["/michiQ/newCase"] * POSTS)} == {200}
    assert all(each.targets for each in replicas)


async def test_balancer_an_id_goes_to_another_replica_once_its_own_is_gone(
    run_balancer: RunNginx, replicas: tuple[Replica, Replica]
) -> None:
    staying, leaving = replicas
    targets = [f"/michiQ/doc/{number}" for number in range(POSTS)]
    async with run_balancer(staying.address, leaving.address) as balancer:
        assert {*await statuses(balancer, "GET", targets)} == {200}
        gone = {*leaving.targets}
        await leaving.server.close()
        assert await statuses(balancer, "POST", targets) == [200] * POSTS
    assert gone
    assert gone <= {*staying.targets}


async def test_haproxy_G10_its_log_has_the_route_and_nothing_of_the_request(
    run_haproxy: RunNginx, replicas: tuple[Replica, Replica]
) -> None:
    async with run_haproxy(replicas[0].address) as haproxy:
        for target in (f"/michiQ/doc/{CANARY}?{CANARY}", f"/app//encounter/{CANARY}/", f"/{CANARY}"):
            await statuses(haproxy, "GET", [target])
        reader, writer = await asyncio.open_connection(haproxy.host, haproxy.port)
        writer.write(f"{CANARY} / {CANARY}\r\n\r\n".encode())
        await asyncio.wait_for(reader.read(), 30)
        writer.close()
    logged = haproxy.stdout.read_text()
    assert CANARY not in logged + haproxy.stderr.read_text()
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert [line["route"] for line in lines[:3]] == ["/michiQ/doc", "/app/encounter", "other"]


@asynccontextmanager
async def dying(read: Counter[str]) -> AsyncIterator[str]:
    """Yields the address of a server that reads each POST to its end, counts its number, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            found = re.search(rb"(?i)x-number: (\d+)", head)
            assert found
            read[found[1].decode()] += 1
        except asyncio.IncompleteReadError:
            pass  # a health check connects and leaves
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
