"""The retention with a wrong machine's clock: a sweep by it would remove data for ever."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy.server.serving import Serving
from proxy.store import Store
from proxy.web.sweeping import ClockReading, Sweeper
from tests.cli.filled import site
from tests.conftest import StartProxy, settings_for
from tests.store.examples import case, opened, record
from tests.web.test_metrics import scraped

NOW = datetime(2026, 3, 21, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Machine:
    """A clock that can be set, and the time that passes whatever it says."""

    clock: datetime = NOW
    passed: timedelta = timedelta()

    def wait(self, time: timedelta) -> None:
        self.clock += time
        self.passed += time

    def __call__(self) -> ClockReading:
        return ClockReading(self.clock, self.passed.total_seconds())


@dataclass
class Place:
    store: Store
    machine: Machine
    sweeper: Sweeper
    serving: Serving

    async def is_kept(self) -> bool:
        """Returns whether the case survives the next check of the sweeper."""
        await self.sweeper.look()
        return await self.store.cases.get("case-1") is not None


async def started(store: Store, tmp_path: Path, machine: Machine) -> Place:
    settings, serving = settings_for(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:1"), Serving()
    return Place(store, machine, Sweeper(store, settings, serving, machine), serving)


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    """A sweeper that has swept once, of a store with a case of today."""
    async with opened(tmp_path) as store:
        place = await started(store, tmp_path, Machine())
        await record(store, case(created_at=NOW))
        assert await place.is_kept()
        yield place


async def test_a_clock_that_jumps_removes_nothing_for_a_day_of_running_and_raises_the_alarm(
    running: Place,
) -> None:
    running.machine.wait(timedelta(hours=1))
    running.machine.clock += 73 * 365 * DAY
    with capture_logs() as log:
        assert await running.is_kept()
    assert [(each["event"], each["log_level"], each["why"]) for each in log] == [
        ("retention_held", "error", "clock-jumped")
    ]
    assert running.serving.held == "clock-jumped"
    running.machine.wait(timedelta(hours=23))
    assert await running.is_kept()
    running.machine.wait(timedelta(hours=1))
    assert not await running.is_kept()
    assert running.serving.held is None


async def test_a_clock_that_was_set_right_again_sweeps_on(running: Place) -> None:
    running.machine.clock += 400 * DAY
    assert await running.is_kept()
    running.machine.clock -= 400 * DAY
    assert await running.is_kept()
    assert running.serving.held is None


@pytest.mark.parametrize(("days", "kept"), [(6, True), (89, True), (91, False)])
async def test_time_that_truly_passes_is_no_jump(running: Place, days: int, kept: bool) -> None:
    for _ in range(days):
        running.machine.wait(DAY)
        still = await running.is_kept()
    assert still is kept


async def test_a_start_far_past_the_last_sweep_removes_nothing_even_after_another_start(
    running: Place, tmp_path: Path
) -> None:
    for _ in range(2):
        machine = Machine(NOW + 31 * DAY + 365 * DAY)
        again = await started(running.store, tmp_path, machine)
        assert await again.is_kept()
        assert again.serving.held == "clock-ahead"
        await running.store.processes.report(
            "id", "name", revision=0, mappings_digest="", rejected=(), started_at=NOW, at=machine.clock
        )


async def test_a_sweep_by_hand_says_that_the_clock_is_right(running: Place) -> None:
    running.machine.clock += 91 * DAY
    assert await running.is_kept()
    running.machine.wait(timedelta(minutes=5))
    await running.store.retention.sweep(running.machine.clock, 1000, 1000)
    running.machine.wait(timedelta(minutes=5))
    assert not await running.is_kept()


async def test_a_store_without_a_sweep_goes_by_its_last_heartbeat(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await record(store, case(created_at=NOW))
        await store.processes.report(
            "id", "name", revision=0, mappings_digest="", rejected=(), started_at=NOW, at=NOW
        )
        place = await started(store, tmp_path, Machine(NOW + 99 * DAY))
        assert await place.is_kept()


async def test_readyz_and_metrics_tell_that_the_retention_is_held(start_proxy: StartProxy) -> None:
    async with start_proxy() as api:
        async with api.http.get(f"{api.proxy.admin_url}/readyz") as response:
            assert (response.status, (await response.json())["retention"]) == (200, "ok")
        _, samples = await scraped(api)
        assert samples[frozenset({"michiq_retention_held"})] == 0


def test_an_operator_sees_the_last_sweep_and_sweeps_at_once(
    tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(tmp_path, secret_key, monkeypatch)

    async def fill(store: Store) -> None:
        await record(store, case(created_at=datetime.now(UTC) - 91 * DAY))

    here.fill(fill)
    assert "last sweep: never" in here.call("retention").stdout
    swept = json.loads(here.call("retention", "--run", "--json").stdout)
    assert swept["swept"] == {"cases": 1, "recordings": 0}
    assert "last sweep: 20" in here.call("retention").stdout


class Claimed:
    """The jobs of replicas of which another one has just swept."""

    async def claim(self, name: str, every_seconds: float) -> bool:
        assert (name, every_seconds) == ("retention", 3540.0)
        return False


async def test_of_replicas_one_sweeps_and_a_wrong_clock_of_another_is_found_all_the_same(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        replica = replace(store, backend=replace(store.backend, jobs=Claimed()))
        place = await started(replica, tmp_path, Machine())
        await record(store, case(created_at=NOW - 10 * 365 * DAY))
        assert await place.is_kept()
        place.machine.clock += 73 * 365 * DAY
        assert await place.is_kept()
        assert place.serving.held == "clock-jumped"
