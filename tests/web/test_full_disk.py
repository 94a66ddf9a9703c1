"""A store that takes no write: clients, /readyz, healthcheck and the log get its cause."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, event
from structlog.testing import capture_logs

from proxy.cli import main
from proxy.store import Space
from proxy.store.upkeep.space_watch import SpaceWatch
from tests.conftest import IDENTITY, Api, StartProxy, bearer, case_form
from tests.disks import fill, small_disk
from tests.rollout.moving import eventually, new_case
from tests.web.test_metrics import scraped


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 12) as folder:
        yield folder


@pytest.fixture
async def on_disk(start_proxy: StartProxy, disk: Path) -> AsyncIterator[Api]:
    """A proxy whose store is on a disk that can be filled."""
    database, blobs = f"sqlite:///{disk}/michiq.db", f"file:{disk}/blobs"
    async with start_proxy(MICHIQ_DATABASE_URL=database, MICHIQ_BLOBS_URL=blobs) as api:
        yield api


async def readiness(api: Api) -> tuple[int, Any]:
    async with api.http.get(f"{api.proxy.admin_url}/readyz") as response:
        return response.status, (await response.json())["reasons"]


def large() -> Any:
    """A case that needs more room than the log of a small database has left."""
    return case_form(ehr=json.dumps({"id": "p-1", "name": "Ana", "notes": [str(n) for n in range(60_000)]}))


async def asked(api: Api) -> tuple[int, str | None]:
    """Returns a newCase's status and cause."""
    async with api.http.post(
        f"{api.url}/michiQ/newCase", data=large(), headers={**IDENTITY, "Connection": "close"}
    ) as response:
        return response.status, response.headers.get("X-Michiq-Cause")


async def test_a_full_disk_is_not_ready_names_itself_to_clients_and_log_and_is_ready_again_with_room(
    on_disk: Api, disk: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    assert await readiness(on_disk) == (200, [])
    filling = fill(disk)
    with capture_logs() as log:
        assert await asked(on_disk) == (500, "store-full")
    assert {each["cause"] for each in log if each["event"] == "store_failed"} == {"store-full"}
    assert [each["cause"] for each in log if each["event"] == "request"] == ["store-full"]
    await eventually(lambda: readiness(on_disk), lambda found: found == (503, ["store-full"]))
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("MICHIQ_ADMIN_LISTEN", on_disk.proxy.admin_url.removeprefix("http://"))
    result = await asyncio.to_thread(CliRunner().invoke, main, ["healthcheck"])
    assert (result.exit_code, "503 (store-full)" in result.output) == (1, True)
    _, samples = await scraped(on_disk)
    assert samples[frozenset({"michiq_store_free_bytes"})] == 0
    filling.unlink()
    await eventually(lambda: readiness(on_disk), lambda found: found == (200, []))
    assert (await new_case(on_disk))[0] == 200


async def test_audio_for_which_there_is_no_room_names_the_full_disk(on_disk: Api, disk: Path) -> None:
    made = await on_disk.new_case()
    fill(disk)
    async with on_disk.http.post(
        f"{on_disk.url}/michiQ/uploadAudio/{made['michiq_uuid']}",
        data=case_form(audioChunk="x" * 400_000),
        headers=bearer(made["token"]),
    ) as response:
        assert (response.status, response.headers["X-Michiq-Cause"]) == (500, "store-full")


@pytest.mark.here_only("SQLite's own bound; of a full disk under PostgreSQL the soak part replicas tells")
async def test_a_database_that_may_not_grow_names_the_full_store(start_proxy: StartProxy) -> None:
    """Simulates a full disk without a mount: SQLite itself refuses more pages."""

    def bounded(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # it stays at the pages that are there

    async with start_proxy() as first:
        await first.new_case()
    event.listen(Engine, "connect", bounded)
    try:
        async with start_proxy() as api:
            assert await asked(api) == (500, "store-full")
    finally:
        event.remove(Engine, "connect", bounded)


async def test_the_log_warns_once_when_less_than_a_tenth_is_free_and_says_when_it_is_enough_again() -> None:
    looks = iter([50, 9, 5, 5, 10, 9])

    async def space() -> Space:
        return Space(free=next(looks), total=100)

    watch = SpaceWatch(space)
    with capture_logs() as log:
        for _ in range(6):
            await watch.look()
    said = [(each["event"], each["free_bytes"], each["log_level"]) for each in log]
    assert said == [
        ("store_space_low", 9, "warning"),
        ("store_space_enough", 10, "info"),
        ("store_space_low", 9, "warning"),
    ]
