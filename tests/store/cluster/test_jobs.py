"""Jobs that one replica does for all."""

import asyncio
from pathlib import Path

import pytest

from proxy.store import Store
from tests.postgresql import Postgresql
from tests.store.examples import opened
from tests.stores import ENGINES


async def claims(*stores: Store, name: str = "retention", seconds: float = 60.0) -> list[bool]:
    return await asyncio.gather(*(store.backend.jobs.claim(name, seconds) for store in stores))


async def test_on_a_database_of_one_machine_each_process_does_its_jobs(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        assert await claims(one, other, one) == [True] * 3


@pytest.fixture
def _replicated(postgresql_server: Postgresql) -> object:
    with ENGINES.on(postgresql_server):
        yield


@pytest.mark.usefixtures("_replicated")
async def test_of_replicas_that_ask_at_once_one_does_the_job(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        assert sorted(await claims(*[one, other] * 5)) == [False] * 9 + [True]
        assert await claims(one, other) == [False, False]
        assert await claims(one, name="another") == [True]


@pytest.mark.usefixtures("_replicated")
async def test_the_job_is_free_again_after_its_time_whoever_did_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as other:
        async with opened(tmp_path) as one:
            assert await claims(one, seconds=0.0) == [True]
        assert await claims(other, seconds=3600.0) == [True]
        assert await claims(other, seconds=0.0) == [False]
