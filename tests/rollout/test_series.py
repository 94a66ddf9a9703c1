"""The series of a running proxy: each answer of a route counts once, under the mode that was in force."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from proxy.rollout.evidence.picture import fitting
from proxy.sandbox import Fault
from proxy.store.rollout.series import SeriesCounts
from tests.conftest import IDENTITY, Api, StartProxy
from tests.rollout.moving import eventually, mode, new_case, override


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy({"new_case": mode("shadow")}, legacy=True) as started:
        yield started


async def counted(api: Api) -> dict[tuple[str, str, str], SeriesCounts]:
    """Returns the counts of all routes by route, mode and side."""
    proxy = api.proxy
    await proxy.moving.shadow.idle()
    await proxy.moving.recorder.flush()
    now = api.clock()
    span = fitting(now - timedelta(minutes=30), now + timedelta(minutes=30), now)
    found: dict[tuple[str, str, str], SeriesCounts] = {}
    for route in proxy.moving.live.now.table.routes:
        for point in await proxy.deps.store.series.points([route], span):
            found.setdefault((route, point.mode, point.side), SeriesCounts()).add(point.counts)
    return found


def counts(found: dict[tuple[str, str, str], SeriesCounts]) -> dict[tuple[str, str, str], int]:
    return {key: each.count for key, each in found.items() if each.count}


async def test_answers_are_counted_by_the_mode_in_force_and_the_side_that_answered(api: Api) -> None:
    await new_case(api)
    await override(api, "new_case", "canary", percent=100)
    await new_case(api)
    await override(api, "new_case", "off")
    assert (await new_case(api))[0] == 410
    found = await counted(api)
    assert counts(found) == {
        ("new_case", "shadow", "legacy"): 1,
        ("new_case", "canary", "new"): 1,
        ("new_case", "off", ""): 1,
    }
    assert Counter(sum(each.latencies) for each in found.values() if each.count) == {1: 3}
    assert sum(each.errors for each in found.values()) == 0


async def test_questions_of_browsers_and_paths_of_no_route_are_no_calls(api: Api) -> None:
    for method, path in [("OPTIONS", "/michiQ/newCase"), ("GET", "/nothing"), ("GET", "/")]:
        async with api.http.request(method, f"{api.url}{path}", headers=IDENTITY):
            pass
    assert counts(await counted(api)) == {}


async def test_an_error_of_a_server_is_an_error_and_a_refusal_of_a_caller_is_none(api: Api) -> None:
    await override(api, "new_case", "new")
    assert (await new_case(api, user_mail=""))[0] < 500
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, times=99))
    assert (await new_case(api))[0] >= 500
    found = (await counted(api))["new_case", "new", "new"]
    assert (found.count, found.errors) == (2, 1)


async def test_a_comparison_counts_on_the_new_side_of_shadow(api: Api) -> None:
    await new_case(api)

    async def compared() -> tuple[int, int]:
        found = (await counted(api)).get(("new_case", "shadow", "new"), SeriesCounts())
        return found.compared, found.differing

    assert await eventually(compared, lambda found: found[0] > 0) == (1, 0)
