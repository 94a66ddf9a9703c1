"""A part of `make soak ARGS=replicas`: two replicas, one of them killed, and all their connections ended."""

import asyncio
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from random import Random

import aiohttp
import pytest

from proxy.sandbox import SandboxConfig, run_sandbox
from tests.postgresql import Postgresql
from tests.replicas.chat import Listener
from tests.replicas.checks import check_all
from tests.replicas.clients import Clients
from tests.replicas.promises import Promises
from tests.replicas.site import Replica, Site, replica

SEED = 41


@pytest.fixture
def listener() -> Listener:
    return Listener(Random(SEED))


@pytest.fixture
async def site(
    listener: Listener, tmp_path: Path, postgresql_server: Postgresql, s3_url: str
) -> AsyncIterator[Site]:
    """Yields two replicas that are ready, with a database and a prefix of S3 of their own."""
    name = await postgresql_server.new()
    replicas = [replica(number, tmp_path, own_network=False) for number in (1, 2)]
    config = SandboxConfig(webhook_retries=(0.1,) * 300)
    with listener.listening():
        async with run_sandbox(config) as sandbox, aiohttp.ClientSession() as http:
            made = Site(tmp_path, sandbox, replicas, postgresql_server.url(name), s3_url, http)
            sandbox.llamalitica.webhook_url = f"{replicas[0].url}/webhooks/llamalitica"
            try:
                await asyncio.gather(*map(made.start, replicas))
                await made.until_all_ready()
                yield made
            finally:
                await made.end_all()
    await postgresql_server.drop(name)


async def test_replicas_N17_N18_U04_Q06_G05_nothing_promised_is_lost_by_a_kill_and_by_ended_connections(
    site: Site, listener: Listener, postgresql_server: Postgresql
) -> None:
    bases = cycle([each.url for each in site.replicas])
    promises = Promises(Random(SEED))
    clients = Clients(promises, site.http, lambda: next(bases), Random(SEED), pause=(0.0, 0.1), twice=0.4)
    finished = asyncio.Event()
    load = asyncio.create_task(clients.run(5, 1, 2, finished))
    killed, _ = site.replicas
    await calls(promises, 40)
    await site.kill(killed)
    await end_lease(killed, postgresql_server, site)
    await site.start(killed)
    await site.until_ready(killed)
    await end_connections(postgresql_server, site)
    await calls(promises, 40)
    finished.set()
    await load
    findings = await check_all(site, clients, listener)
    assert findings.all() == []
    assert {"new_case 200", "query 200", "upload_audio 200", "speech_to_text 200"} <= promises.answered.keys()


async def calls(promises: Promises, count: int) -> None:
    """Waits until so many further calls were answered."""
    until = promises.answered.total() + count
    async with asyncio.timeout(60):
        while promises.answered.total() < until:  # noqa: ASYNC110  the clients set no event
            await asyncio.sleep(0.02)


async def end_lease(killed: Replica, server: Postgresql, site: Site) -> None:
    """Lets the lease of a killed replica be past at once, so that nobody has to wait for it."""
    assert killed.process is not None
    async with server.admin(site.database) as driver:
        await driver.execute(
            "UPDATE members SET until = clock_timestamp() - interval '1 s' WHERE name IN "
            "(SELECT replace(id, '-', '') FROM processes WHERE name LIKE '%:' || $1)",
            str(killed.process.pid),
        )


async def end_connections(server: Postgresql, site: Site) -> None:
    async with server.admin() as driver:
        await driver.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", site.database
        )
