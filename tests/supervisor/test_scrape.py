"""One scrape of a service with several workers has the samples of each."""

import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.keepalive import Connection
from tests.supervisor.test_workers_serve import CASES, Service, service


async def samples(url: str, name: str) -> list[Sample]:
    async with aiohttp.request("GET", f"{url}/metrics") as response:
        text = await response.text()
    return [
        each
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == name
    ]


async def by_worker(url: str, name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in await samples(url, name):
        found[each.labels["worker"]] = found.get(each.labels["worker"], 0) + each.value
    return found


async def asked(proxy: Service, times: int) -> None:
    for _ in range(times):
        connection = await Connection.open(proxy.url)
        assert (await connection.ask(CASES)).status == 401
        connection.close()


async def value(url: str, name: str) -> float:
    [only] = await samples(url, name)
    assert "worker" not in only.labels
    return only.value


async def test_each_scrape_counts_the_requests_of_all_workers(tmp_path: Path, secret_key: str) -> None:
    environ: dict[str, Any] = {"MICHIQ_STATUS_LISTEN": "127.0.0.1:0"}
    async with service(tmp_path, secret_key, **environ) as proxy:
        await asked(proxy, 20)
        for _ in range(8):  # some of them are answered by each worker
            found = await by_worker(proxy.admin_url, "michiq_requests_total")
            assert sum(found.values()) == 20
            assert found.keys() <= {"worker-1", "worker-2"}
        assert (await by_worker(proxy.admin_url, "michiq_process_open_fds")).keys() == {
            "worker-1",
            "worker-2",
        }
        for name in ("michiq_workers", "michiq_workers_ready", "michiq_workers_answered"):
            assert await value(proxy.admin_url, name) == 2
        assert await value(proxy.admin_url, "michiq_revision") == 0
        # A worker that stands still does not hold the scrape up; its samples are missing, and that shows.
        stopped = max(proxy.workers())
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert await _answered_by_the_other(proxy) == (1, 2)
        finally:
            os.kill(stopped, signal.SIGCONT)


async def _answered_by_the_other(proxy: Service) -> tuple[float, float]:
    """Returns how many workers answered a scrape, and how many are ready."""
    while True:
        try:
            async with aiohttp.request(
                "GET", f"{proxy.admin_url}/metrics", timeout=aiohttp.ClientTimeout(1.5)
            ) as response:
                text = await response.text()
        except TimeoutError:
            continue  # the one that stands still has accepted this connection
        found = {
            each.name: each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
        }
        return found["michiq_workers_answered"], found["michiq_workers_ready"]
