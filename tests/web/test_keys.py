"""A process without a key of the store: it is not ready, and gives the reason."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from proxy.modes import Change
from proxy.store import StoreError
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.tables import reports
from tests.conftest import Api, StartProxy
from tests.flows._client import until
from tests.store.examples import KEY, opened
from tests.store.filled import unpack
from tests.store.older import FernetSealer

HERE = SealedColumn(reports.c.body).at("report-1")
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


@pytest.mark.here_only("0.1.0, which sealed by Fernet, had SQLite alone")
async def test_a_process_refuses_fernet_once_another_has_found_none_left(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    await asyncio.to_thread(unpack, "0.1.0", tmp_path)
    old = FernetSealer(KEY, b"").seal(b"a value of 0.1.0", HERE)
    async with start_proxy(MICHIQ_SECRET_KEYS=KEY) as api, opened(tmp_path) as other:
        store = api.proxy.deps.store
        assert opens(store.sealer, old)
        assert (await other.rotation.run(lambda _: None)).left == 0
        change = Change(actor="ana", route="doc", mode="off", reason="what follows is followed at once")
        await other.overrides.change(change, expected=None, at=api.clock())
        await until(lambda: not opens(store.sealer, old))


def opens(sealer: Sealer, value: bytes) -> bool:
    try:
        return bool(sealer.open(value, HERE))
    except StoreError:
        return False
