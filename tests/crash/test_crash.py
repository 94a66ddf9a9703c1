"""kill -9 at every named point: nothing promised is lost, nothing is half there, nothing is done twice."""

import asyncio
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.conftest import STORES
from tests.crash.client import Client
from tests.crash.nursery import nursery
from tests.crash.points import MIGRATION, points
from tests.crash.rounds import Siege
from tests.crash.site import sited, started_in
from tests.crash.upgrade import killed_within, statements

SEED: Final = 14


@pytest.mark.parametrize("stored_in", STORES, indirect=True)
async def test_a_killed_proxy_N17_U01_W02_starts_again_without_loss_halves_or_doubles(
    tmp_path: Path, stored_in: str
) -> None:
    named = [point for point in points(replicated=stored_in == "replicated") if point != MIGRATION]
    if stored_in == "replicated":
        named = Random(SEED).sample(named, 5)  # all of them are in the soak
    async with sited(tmp_path) as site, nursery(tmp_path, site.environ()) as site.nursery:
        siege = Siege(site, Client(site))
        await siege.start()
        for number, point in enumerate(named):
            await siege.round(point, number, plain=False)
        await siege.end()
    assert siege.faults.all() == [], siege.faults.all()
    assert siege.kills == named
    answered = [attempt for attempt in siege.client.attempts if attempt.answer]
    assert len(answered) > len(named), "nothing was promised that could be lost"
    assert siege.client.chunks


async def failing(folder: Path, *, plain: bool) -> None:
    async with sited(folder) as site, nursery(folder, site.environ()) as site.nursery:
        assert await site.start(plain=plain)
        assert started_in(folder)
        raise RuntimeError("a test that fails")


@pytest.mark.parametrize("plain", [True, False])
async def test_what_fails_leaves_no_process_behind(tmp_path: Path, plain: bool) -> None:
    with pytest.raises(RuntimeError, match="a test that fails"):
        await failing(tmp_path, plain=plain)
    assert started_in(tmp_path) == []


async def test_a_proxy_that_is_killed_within_a_migration_migrates_again(tmp_path: Path) -> None:
    async with sited(tmp_path) as site:
        count = await asyncio.to_thread(statements, tmp_path, site.key)
        statement = Random(5).randrange(1, count + 1)
        assert await killed_within(site, statement) == []
