"""GET /metrics: valid for Prometheus, and without any data of patients or clients."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.observe.logs import dropped, flush, setup
from proxy.sandbox import Fault
from tests.captured import restored_logging
from tests.conftest import API_KEY, IDENTITY, Api, StartProxy, case_form
from tests.rollout.moving import eventually, mode, new_case


async def scraped(api: Api) -> tuple[str, dict[frozenset[str], float]]:
    """Returns the text, and each sample by its name and its labels' values."""
    async with api.http.get(f"{api.proxy.admin_url}/metrics") as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/plain"
        text = await response.text()
    samples = {
        frozenset((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return text, samples


async def test_requests_calls_and_shadow_outcomes_are_counted(start_proxy: StartProxy) -> None:
    async with start_proxy({"new_case": mode("shadow")}, legacy=True) as api:
        await api.new_case()
        await new_case(api, API_KEY="wrong")
        _, samples = await eventually(
            lambda: scraped(api),
            lambda found: frozenset({"michiq_shadow_outcomes_total", "new_case", "match"}) in found[1],
        )
    assert samples[frozenset({"michiq_requests_total", "new_case", "legacy", "200"})] == 1
    assert samples[frozenset({"michiq_requests_total", "new_case", "legacy", "401"})] == 1
    assert samples[frozenset({"michiq_upstream_calls_total", "legacy", "ok"})] == 2
    assert samples[frozenset({"michiq_request_seconds_count", "new_case", "legacy"})] == 2


def in_order(text: str) -> str:
    """Changes newCase's mapping, so that users/me is always called first."""
    return text.replace('me_beside = "15 min"', 'me_beside = "0 s"')


async def test_a_call_that_may_have_worked_and_an_open_breaker_show(start_proxy: StartProxy) -> None:
    async with start_proxy({"new_case": in_order}) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="cut_after_body", path_prefix="/api/cases"))
        assert (await new_case(api))[0] == 500
        api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, times=99))
        for _ in range(5):
            await new_case(api)
        _, samples = await scraped(api)
        assert samples[frozenset({"michiq_ambiguous_calls"})] == 1
        assert samples[frozenset({"michiq_breaker", "llamalitica", "open"})] == 1
        assert samples[frozenset({"michiq_breaker", "llamalitica", "closed"})] == 0


@pytest.fixture
def _full_disk() -> Iterator[None]:
    """Writes the log to a full disk."""
    with restored_logging(), Path("/dev/full").open("w") as full:
        setup(full, pretty=False)
        yield


@pytest.mark.usefixtures("_full_disk")
async def test_lines_that_the_log_lost_are_counted(api: Api) -> None:
    for _ in range(2):
        await api.new_case()
        flush()
        _, samples = await scraped(api)
        assert samples[frozenset({"michiq_log_lines_dropped_total"})] == dropped() > 0


async def test_G10_nothing_of_a_client_is_in_a_metric(api: Api) -> None:
    made = await api.new_case(case_form(ehr=json.dumps({"nhc": "q-1", "name": "Zacarías"}), conversation="x"))
    async with api.http.get(f"{api.url}/Zacarias?q={made['token']}") as response:
        assert response.status == 404
    text, _ = await scraped(api)
    words = ["Zacar", API_KEY, made["token"], made["michiq_uuid"], *IDENTITY.values()]
    assert [word for word in words if word in text] == []
