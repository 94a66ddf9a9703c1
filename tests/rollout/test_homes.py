"""A case stays on the side that made it: a canary on a stateful API shows no client the two sides."""

import asyncio
from random import Random

import pytest

from tests.conftest import StartProxy
from tests.rollout.homes import Calls, move_about, people

SEED = 20241125
ROUTES = ("new_case", "doc", "encounters", "query", "upload_audio", "speech_to_text", "encounter_page")


def canary(text: str) -> str:
    return text.replace('mode = "new"', 'mode = "canary"\ncanary_percent = 30')


@pytest.mark.parametrize("count", [600])
async def test_G07_no_call_of_200_users_is_refused_for_the_splits_sake_while_the_percentage_moves(
    start_proxy: StartProxy, count: int
) -> None:
    async with start_proxy(dict.fromkeys(ROUTES, canary), legacy=True) as api:
        calls = Calls(api, Random(SEED), people(200, 40))
        moving = asyncio.create_task(move_about(api, Random(SEED + 1)), name="move-about")
        await calls.run(count)
        moving.cancel()
        await asyncio.wait({moving})
        assert moving.cancelled(), moving.exception()
        assert calls.wrong[:5] == []
        assert sum(calls.answered.values()) == count
        cases = {case for user in calls.users for case in user.cases}
        both = len(cases & api.sandbox.michiq.encounters.keys())
        assert 0.1 < both / len(cases) < 0.9, "the canary did not split the cases"
        assert api.proxy.moving.live.now.overrides.revision > 20
