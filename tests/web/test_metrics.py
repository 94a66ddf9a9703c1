"""GET /metrics: valid for Prometheus, and without any data of patients or clients."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from proxy.observe.logs import dropped, flush, setup
from proxy.sandbox import Fault
from proxy.sandbox.reports import signature
from tests.captured import restored_logging
from tests.certificates import make
from tests.conftest import API_KEY, IDENTITY, Api, StartProxy, case_form
from tests.docker.tools import tool
from tests.flows.test_webhooks import HEADER, SECRET, event, post
from tests.rollout.moving import eventually, mode, new_case

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"


async def text_of(api: Api, accept: str = "") -> str:
    async with api.http.get(f"{api.proxy.admin_url}/metrics", headers={"Accept": accept}) as response:
        assert response.status == 200, await response.text()
        return await response.text()


async def scraped(api: Api) -> tuple[str, dict[frozenset[str], float]]:
    """Returns the text, and each sample by its name and its labels' values, without the worker's."""
    async with api.http.get(f"{api.proxy.admin_url}/metrics") as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/plain"
        text = await response.text()
    samples = {
        frozenset((sample.name, *(v for k, v in sample.labels.items() if k != "worker"))): sample.value
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
    assert samples[frozenset({"michiq_requests_total", "new_case", "shadow", "legacy", "200"})] == 1
    assert samples[frozenset({"michiq_requests_total", "new_case", "shadow", "legacy", "401"})] == 1
    assert samples[frozenset({"michiq_upstream_seconds_count", "legacy"})] == 2
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


async def test_promtool_finds_nothing_to_say_against_names_and_types(api: Api) -> None:
    await api.new_case()
    text = await text_of(api)
    checked = await asyncio.to_thread(_checked, text)
    assert (checked.stderr, checked.stdout, checked.returncode) == ("", "", 0)
    assert "_created" not in text


def _checked(text: str) -> "subprocess.CompletedProcess[str]":
    command = [tool("promtool"), "check", "metrics"]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)


async def test_openmetrics_has_the_traces_of_requests_that_came_with_one(api: Api) -> None:
    await api.new_case(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    await api.new_case(traceparent=f"00-{'0' * 32}-00f067aa0ba902b7-01")
    text = await text_of(api, "application/openmetrics-text; version=1.0.0")
    families = of_openmetrics(text)  # type: ignore[no-untyped-call]
    samples = [each for family in families for each in family.samples]
    found = {(each.name, each.labels["route"]): each.exemplar.labels for each in samples if each.exemplar}
    assert found == {("michiq_request_seconds_bucket", "new_case"): {"trace_id": TRACE}}
    assert not [each.name for each in samples if each.name.endswith("_created")]
    assert TRACE not in await text_of(api)


async def test_modes_revision_and_reloads_show(start_proxy: StartProxy, tmp_path: Path) -> None:
    async with start_proxy({"new_case": mode("canary")}, legacy=True, watch=True) as api:
        _, samples = await scraped(api)
        assert samples[frozenset({"michiq_mode_info", "new_case", "canary"})] == 1
        assert samples[frozenset({"michiq_mode_info", "new_case", "new"})] == 0
        assert samples[frozenset({"michiq_mappings_last_reload_successful"})] == 1
        assert samples[frozenset({"michiq_revision"})] == 0
        (tmp_path / "mappings" / "doc.toml").write_text("mode = 1", "utf-8")
        await eventually(
            lambda: scraped(api),
            lambda found: found[1][frozenset({"michiq_mappings_last_reload_successful"})] == 0,
        )


async def test_webhooks_count_by_what_became_of_them(api: Api) -> None:
    body = json.dumps(event()).encode()
    for sign in (signature(SECRET, body), "0" * 64):
        await post(api, body, {HEADER: sign})
    _, samples = await scraped(api)
    assert samples[frozenset({"michiq_webhooks_total", "accepted"})] == 1
    assert samples[frozenset({"michiq_webhooks_total", "signature"})] == 1


async def test_the_end_of_the_certificate_and_the_age_of_the_oldest_pending_call_show(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    made = make(tmp_path, "served")
    async with start_proxy({"new_case": in_order}, **made.settings) as api:
        _, samples = await scraped(api)
        assert samples[frozenset({"michiq_certificate_end_seconds"})] > api.clock().timestamp()
        assert samples[frozenset({"michiq_oldest_pending_seconds"})] == 0


async def test_a_pending_call_grows_older(start_proxy: StartProxy) -> None:
    async with start_proxy({"new_case": in_order}) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="cut_after_body", path_prefix="/api/cases"))
        await new_case(api)
        api.clock.ahead += timedelta(hours=1)
        _, samples = await scraped(api)
        assert 3600 <= samples[frozenset({"michiq_oldest_pending_seconds"})] < 3700


async def test_no_label_has_a_value_that_a_client_chose(api: Api) -> None:
    """However odd requests are, they make no series of their own."""
    await _odd_requests(api, "qqfirst")
    _, before = await scraped(api)
    for number in range(20):
        await _odd_requests(api, f"w{number}x{os.urandom(4).hex()}")
    text, after = await scraped(api)
    assert after.keys() == before.keys()
    assert "qqfirst" not in text


async def _odd_requests(api: Api, word: str) -> None:
    headers = {
        "API_KEY": API_KEY,
        "user_mail": f"{word}@example.org",
        "organization": word,
        "User-Agent": word,
        "X-Michiq-Tester": f"{word} {word}",
        "X-Request-ID": word,
        "Origin": f"https://{word}.example",
        "Host": f"{word}.example",
        "Authorization": f"Bearer {word}",
        "traceparent": word,
    }
    for method, path in (
        ("GET", f"/{word}"),
        (word.upper(), "/michiQ/newCase"),
        (word.upper(), f"/{word}/{word}"),
        ("GET", f"/michiQ/doc/{word}"),
        ("POST", f"/webhooks/llamalitica?{word}"),
        ("POST", f"/michiQ/query/{word}"),
        ("OPTIONS", f"/michiQ/doc/{word}"),
    ):
        async with api.http.request(method, f"{api.url}{path}", headers=headers) as response:
            await response.read()
