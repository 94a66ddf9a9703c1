"""A proxy whose store has something for each view: the synthetic day of examples/traffic.py, in seconds."""

import asyncio
import io
import random
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from examples import yesterday
from examples.traffic import EVENTS, Day, spend
from proxy.cli.demo.case import write_files
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.series import add_series
from tests.conftest import API_KEY, Api

ADMIN: Final = "token-of-ana-0123456789"
OTHER: Final = "token-of-luis-0123456789"
READER: Final = "token-of-eva-0123456789"
_EVENTS: Final = {hour: event for hour, event in EVENTS.items() if hour not in (19, 20)}  # slow ones
TOKENS: Final = f"ana:{ADMIN},luis:{OTHER},eva:{READER}:read"


async def fill(api: Api, folder: Path, *, hour: float = 0.05) -> None:
    """Makes up a day before, sends a day's traffic, and records a run of the contract with a failure."""
    await asyncio.to_thread(write_files, folder / "demo")
    made_up = yesterday.counts(api.clock(), random.Random(1))
    await api.proxy.deps.store.backend.database.write(lambda conn: add_series(conn, made_up))
    day = Day(_environment_of(api), api.http, random.Random(1), hour, folder / "demo")
    with redirect_stdout(io.StringIO()):
        await spend(day, _EVENTS)
    await api.proxy.moving.shadow.idle()
    await api.proxy.moving.recorder.flush()
    at = api.clock()
    runs = [
        ContractRun(at, api.url, route, 11 + failed, failed, 1)
        for failed, route in enumerate(("doc", "query"))
    ]
    await api.proxy.deps.store.contract_runs.add(runs)


def _environment_of(api: Api) -> Mapping[str, str]:
    """Returns what the demo would write into var/demo.env about this proxy."""
    return {
        "MICHIQ_LLAMALITICA_API_URL": api.sandbox.llamalitica.url,
        "MICHIQ_LLAMACHAT_URL": api.sandbox.llamachat.url,
        "MICHIQ_LEGACY_URL": api.sandbox.michiq.url,
        "MICHIQ_ADMIN_LISTEN": urlsplit(api.proxy.admin_url).netloc,
        "MICHIQ_ADMIN_TOKENS": TOKENS,
        "CONTRACT_TARGET": api.url,
        "CONTRACT_API_KEY": API_KEY,
    }
