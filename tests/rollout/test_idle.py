"""Counts what an idle proxy asks of PostgreSQL: each replica asks it for ever."""

from functools import partial
from pathlib import Path

import pytest

from proxy.rollout import config_watcher
from proxy.store.cluster import lease
from proxy.web import take_over
from tests.conftest import Api, StartProxy
from tests.postgresql import Postgresql
from tests.rollout.moving import eventually
from tests.stores import ENGINES

MINUTE = 60.0


async def transactions(server: Postgresql, folder: Path) -> int:
    """Returns the transactions of the folder's database so far, once all its connections have ended."""
    name = ENGINES.databases[folder]
    async with server.admin() as driver:
        connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        await eventually(partial(driver.fetchval, connected, name), lambda found: not found)
        counted = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"
        return int(await driver.fetchval(counted, name))


async def a_minute_passes(api: Api) -> None:
    """Does what an idle proxy does in a minute, but for the lease."""
    follower, deps = api.proxy.moving.follower, api.proxy.deps
    for _ in range(round(MINUTE / config_watcher._LOOK_SECONDS)):
        await follower.catch_up()
    for _ in range(round(MINUTE / config_watcher._HEARTBEAT_SECONDS)):
        await follower.report()
        await deps.store.keys.refuse_fernet()
    for _ in range(round(MINUTE / take_over._SECONDS)):
        await take_over.look_once(api.proxy.moving.live, deps)


@pytest.mark.parametrize("stored_in", ["replicated"], indirect=True)
async def test_an_idle_replica_makes_at_most_three_transactions_a_second(
    postgresql_server: Postgresql, start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with start_proxy():
        pass
    begun = await transactions(postgresql_server, tmp_path)
    async with start_proxy():
        pass
    started = await transactions(postgresql_server, tmp_path)
    async with start_proxy() as api:
        await a_minute_passes(api)
    passed = await transactions(postgresql_server, tmp_path) - started - (started - begun)
    assert MINUTE < passed + MINUTE / lease._RENEW_SECONDS <= 3 * MINUTE
