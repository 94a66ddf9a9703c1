"""A process that lacks a key which the store is sealed with: it is not ready, and says why."""

import re
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.conftest import Api, StartProxy

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


async def reasons(api: Api) -> Any:
    async with api.http.get(f"{api.proxy.admin_url}/readyz") as response:
        return (await response.json())["reasons"]


async def test_a_process_without_the_key_that_another_seals_with_is_not_ready(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_SECRET_KEYS=OLD) as old:
        assert await reasons(old) == []
        async with start_proxy(MICHIQ_SECRET_KEYS=f"{NEW},{OLD}") as new:
            assert (await reasons(old), await reasons(new)) == (["keys"], [])


@pytest.mark.parametrize("rotated", [False, True])
async def test_the_old_key_can_go_only_once_everything_is_under_the_new_one(
    start_proxy: StartProxy, rotated: bool
) -> None:
    async with start_proxy(MICHIQ_SECRET_KEYS=OLD) as api:
        await api.new_case()
    async with start_proxy(MICHIQ_SECRET_KEYS=f"{NEW},{OLD}") as api:
        if rotated:
            assert (await api.proxy.deps.store.rotation.run(lambda _: None)).left == 0
            await api.proxy.deps.store.keys.renewed([])
    async with start_proxy(MICHIQ_SECRET_KEYS=NEW) as api:
        assert await reasons(api) == ([] if rotated else ["keys"])


async def test_processes_tell_their_keys_by_fingerprints_alone(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_SECRET_KEYS=f"{NEW},{OLD}") as api:
        (process,) = await api.proxy.deps.store.processes.live(api.clock(), timedelta(seconds=10))
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in process.keys)
    assert len({*process.keys}) == 2
