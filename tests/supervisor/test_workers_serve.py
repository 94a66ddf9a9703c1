"""`serve` with MICHIQ_WORKERS=2: real processes on one socket, restarted under requests, killed, ended."""

import asyncio
import json
import os
import signal
import ssl
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.certificates import make, trusting
from tests.cli.test_processes import command, ended, until
from tests.flows._wire import request
from tests.keepalive import Connection, get

_SECONDS = 60
CASES = get("/michiQ/encounters")  # answered 401: nobody asks who it is
EVENT = request("POST /webhooks/llamalitica HTTP/1.1", body=b"{}")  # answered 401: nobody signed it


@dataclass(frozen=True, slots=True)
class Service:
    """A running parent, and the URLs where its workers serve."""

    parent: Process
    url: str
    admin_url: str

    def workers(self) -> set[int]:
        pid = self.parent.pid
        return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    async def ready(self) -> tuple[int, dict[str, int]]:
        async with aiohttp.request("GET", f"{self.admin_url}/readyz") as response:
            return response.status, (await response.json())["workers"]


@asynccontextmanager
async def service(folder: Path, key: str, **environ: str) -> AsyncIterator[Service]:
    settings = {
        "MICHIQ_SECRET_KEYS": key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_WORKERS": "2",
        **environ,
    }
    async with command(folder, "serve", **settings) as process:
        listening = json.loads((await until(process, '"listening"')).splitlines()[-1])
        yield Service(process, listening["url"], listening["admin"])


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not holds():  # noqa: ASYNC110  other processes set no event
            await asyncio.sleep(0.02)


def lives(pid: int) -> bool:
    """Returns whether the process exists, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Client:
    """A client that asks again and again on one connection, for as long as it may."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self.answers = 0
        self.connections = 0

    async def go_on(self) -> None:
        while True:
            if self._connection is None or self._connection.over:
                self._connection = await Connection.open(self._url)
                self.connections += 1
            reply = await self._connection.ask(CASES)
            assert reply.status == 401
            self.answers += 1
            if reply.last:
                self._connection.close()
                self._connection = None
            await asyncio.sleep(0.05)


async def test_a_rolling_restart_replaces_every_worker_and_no_request_fails(
    tmp_path: Path, secret_key: str
) -> None:
    async with service(tmp_path, secret_key, MICHIQ_DRAIN_SECONDS="6") as proxy:
        before = proxy.workers()
        assert (len(before), await proxy.ready()) == (2, (200, {"ready": 2, "of": 2}))
        clients = [Client(proxy.url) for _ in range(6)]
        asking = [asyncio.create_task(client.go_on()) for client in clients]
        proxy.parent.send_signal(signal.SIGUSR2)
        await until(proxy.parent, '"rolled"')
        for task in asking:
            assert not task.done(), task.exception()
            task.cancel()
        after = proxy.workers()
        assert (len(after), before & after, await proxy.ready()) == (2, set(), (200, {"ready": 2, "of": 2}))
        assert all(client.connections > 1 for client in clients)
        # As some do who stop a service: all of its processes are told, not only the first.
        under_way = await Connection.open(proxy.url)
        under_way.send(EVENT[:-1])
        for pid in after:
            os.kill(pid, signal.SIGTERM)
        assert await ended_with(proxy.parent, under_way) == (0, 401)


async def test_every_worker_serves_by_the_new_certificate_after_sighup(
    tmp_path: Path, secret_key: str
) -> None:
    made, other = make(tmp_path, "served", "rsa"), make(tmp_path, "other")
    trusted = trusting(made, other)
    async with service(tmp_path, secret_key, **made.settings) as proxy:
        assert {await shown(proxy.url, trusted) for _ in range(8)} == {made.der}
        made.take(other)
        proxy.parent.send_signal(signal.SIGHUP)
        for _ in proxy.workers():
            await until(proxy.parent, '"certificate_in_force"')
        assert {await shown(proxy.url, trusted) for _ in range(8)} == {other.der}


async def test_a_handshake_33_that_fails_is_logged_by_the_loop_that_serves(
    tmp_path: Path, secret_key: str
) -> None:
    made = make(tmp_path, "served", "rsa")
    async with service(tmp_path, secret_key, **made.settings) as proxy:
        connection = await Connection.open(proxy.url.replace("https", "http"))
        connection.send(CASES)
        line = json.loads((await until(proxy.parent, '"tls_handshake_failed"')).splitlines()[-1])
        connection.close()
        assert (line["version"], line["reason"]) == ("none", "not-tls")


async def ended_with(parent: Process, under_way: Connection) -> tuple[int, int]:
    """Returns the parent's exit code, and the status of a request that lacks its last byte until then."""
    parent.send_signal(signal.SIGTERM)
    await until(parent, '"draining"')
    reply = await under_way.ask(EVENT[-1:])
    under_way.close()
    async with asyncio.timeout(_SECONDS):
        return await parent.wait(), reply.status


async def shown(url: str, trusted: ssl.SSLContext) -> bytes:
    """Returns the certificate that a new connection gets."""
    connection = await Connection.open(url, trusted)
    try:
        assert (await connection.ask(CASES)).status == 401
        return connection.certificate()
    finally:
        connection.close()


async def test_a_worker_that_is_killed_is_replaced_while_the_other_one_answers(
    tmp_path: Path, secret_key: str
) -> None:
    async with service(tmp_path, secret_key) as proxy:
        before = proxy.workers()
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await until(proxy.parent, '"worker_died"')
        assert (await proxy.ready())[0] == 200
        await eventually(lambda: len(proxy.workers()) == 2 and killed not in proxy.workers())
        # The first signal would give it seconds; the second ends it at once, and its workers with it.
        workers = proxy.workers()
        proxy.parent.send_signal(signal.SIGTERM)
        await until(proxy.parent, '"draining"')
        assert await ended(proxy.parent, signal.SIGTERM) == -signal.SIGTERM
        await eventually(lambda: not any(map(lives, workers)))


async def test_workers_whose_parent_is_killed_end_by_themselves(tmp_path: Path, secret_key: str) -> None:
    async with service(tmp_path, secret_key, MICHIQ_DRAIN_SECONDS="1") as proxy:
        workers = proxy.workers()
        assert await ended(proxy.parent, signal.SIGKILL) == -signal.SIGKILL
        await eventually(lambda: not any(map(lives, workers)))


async def test_workers_that_can_not_start_end_the_service_with_their_code(
    tmp_path: Path, secret_key: str
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "michiq.db").write_bytes(b"not a database" * 1000)
    settings = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_WORKERS": "2",
    }
    async with command(tmp_path, "serve", **settings) as process, asyncio.timeout(_SECONDS):
        assert await process.wait() == 2
