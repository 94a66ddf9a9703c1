"""The admin API's series: what it shows, and what it refuses."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest

from proxy.times import from_rfc3339
from tests.conftest import Api, StartProxy
from tests.rollout.moving import new_case, override
from tests.web.admin.operators import TOKENS, Operator, said

WRONG: Final = {
    "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z": "since",
    "since=2026-01-02T00:00:00Z&until=2026-01-02T00:00:00Z": "since",
    "since=2024-01-01T00:00:00Z&until=2026-01-01T00:00:00Z": "since",
    "until=0001-01-01T00:00:00Z": "until",
    "since=2026-01-02": "since",
    "step=61": "step",
    "route=docs": "route",
}


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as started:
        yield started


@pytest.fixture
def ana(api: Api) -> Operator:
    return Operator(api.http, api.proxy.admin_url)


async def test_a_call_and_a_change_are_in_the_series_of_the_last_day(api: Api, ana: Operator) -> None:
    await override(api, "new_case", "new", organization="Clínica Norte", reason="as agreed")
    await new_case(api)
    await api.proxy.moving.recorder.flush()
    shown = said(await ana.get("series?route=new_case"))
    assert [(each["mode"], each["side"], each["count"], each["errors"]) for each in shown["points"]] == [
        ("new", "new", 1, 0)
    ]
    assert [each["p50_ms"] > 0 for each in shown["sides"]] == [True]
    assert [(each["actor"], each["organization"], each["reason"]) for each in shown["changes"]] == [
        ("ana", "Clínica Norte", "as agreed")
    ]
    length = from_rfc3339(shown["until"]) - from_rfc3339(shown["since"])
    assert timedelta(days=1) <= length < timedelta(days=1, seconds=shown["width"])
    assert said(await ana.get("series?route=query"))["points"] == []


async def test_a_query_that_no_chart_can_be_made_of_is_refused_with_its_parameter(ana: Operator) -> None:
    for query, parameter in WRONG.items():
        refused = await ana.get(f"series?{query}")
        assert refused.status == 422, query
        assert [each["parameter"] for each in said(refused)["errors"]] == [parameter], query
