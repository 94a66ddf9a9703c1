"""The views of the system and of the contract: what they show and do, and what they keep to themselves."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from proxy.store.rollout.contract_runs import ContractRun
from tests.conftest import StartProxy, case_form
from tests.rollout.moving import eventually
from tests.web.page.browsing import ANA, EVA, TOKENS, browsing, logged_in

SECRET: Final = "s3cret-and-long-enough"


async def test_the_system_shows_processes_store_and_settings_without_secrets(start_proxy: StartProxy) -> None:
    async with logged_in(start_proxy, MICHIQ_TESTER_SECRET=SECRET) as browser:
        shown = await eventually(lambda: browser.get("/system"), lambda found: "worker-1" in found.text)
        assert (shown.status, shown.heading) == (200, "System")
        for text in ("up to date", "sqlite", "MICHIQ_TESTER_SECRET", "1 of 1 workers"):
            assert text in shown.text
        assert SECRET not in shown.text
        assert ANA not in shown.text
        assert "/system/roll" not in shown.text
        spanish = await browser.get("/system", Accept_Language="es")
        assert spanish.heading == "Sistema"


async def test_reloading_takes_files_into_force_or_says_what_is_wrong(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with start_proxy(watch=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in(wanted="/system")
        done = await browser.post("/system/reload")
        assert (done.status, done.url.path_qs) == (200, "/system?done=reload")
        assert "those on disk are in force" in done.text
        (tmp_path / "mappings" / "doc.toml").write_text("mode = 1\n", "utf-8")
        wrong = await browser.post("/system/reload")
        assert "those on disk are in force" not in wrong.text
        assert "<code>doc.toml" in wrong.text
        rows = await api.proxy.deps.store.audit.newest(2)
        assert [(row.actor, row.action, json.loads(row.detail)) for _, row in rows] == [
            ("ana", "mappings_reloaded", {"via": "page"})
        ] * 2


async def test_only_several_workers_roll_and_each_of_them_is_told(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in()
        assert (await browser.post("/system/roll")).status == 409
        assert (await browser.post("/system/reload")).status == 409  # no folder is followed


async def test_who_only_reads_gets_no_forms_and_the_bundle(start_proxy: StartProxy) -> None:
    async with start_proxy(watch=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in(EVA)
        assert 'action="/system/reload"' not in (await browser.get("/system")).text
        assert (await browser.post("/system/reload")).status == 403
        assert (await browser.get("/system/bundle")).status == 200


async def test_the_bundle_has_no_secret_no_reason_and_nothing_of_a_patient(
    start_proxy: StartProxy, secret_key: str
) -> None:
    environ = {"MICHIQ_ADMIN_TOKENS": TOKENS, "MICHIQ_TESTER_SECRET": SECRET}
    async with start_proxy(**environ) as api, browsing(api) as browser:
        made = await api.new_case(case_form(ehr='{"nhc": "q-1", "name": "Zacarías"}', conversation="Dolor."))
        store, now = api.proxy.deps.store, api.clock()
        await store.audit.add("ana", "mode", "doc", now, json.dumps({"reason": "Zacarías called"}))
        await browser.log_in()
        bundle = await browser.get("/system/bundle")
    assert bundle.headers["Content-Type"] == "application/json"
    assert re.fullmatch(
        r'attachment; filename="michiq-support-\d{8}T\d{6}Z\.json"', bundle.headers["Content-Disposition"]
    )
    found = json.loads(bundle.text)
    assert found.keys() == {"system", "audit", "metrics"}
    assert ("ana", "mode") in [(row["actor"], row["action"]) for row in found["audit"]]
    assert any(line.startswith("michiq_requests_total{") for line in found["metrics"])
    hidden = (SECRET, secret_key, ANA, EVA, "Zacar", "Dolor", made["token"], made["michiq_uuid"])
    assert [word for word in hidden if word in bundle.text] == []


@pytest.mark.parametrize("accepted", ["en", "es"])
async def test_the_contract_shows_the_newest_runs_or_the_command(
    start_proxy: StartProxy, accepted: str
) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in()
        empty = await browser.get("/contract", Accept_Language=accepted)
        assert {"en": "No run is recorded", "es": "No hay ninguna ejecución"}[accepted] in empty.text
        assert "michiq-proxy contract --record" in empty.text
        now, target = api.clock(), "https://old.example.com"
        runs = [ContractRun(now, target, route, 9, failed, 1) for route, failed in (("doc", 0), ("query", 2))]
        await api.proxy.deps.store.contract_runs.add(runs)
        shown = await browser.get("/contract", Accept_Language=accepted)
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(\w+)</th>.*?tone-(\w+)", shown.text, re.DOTALL)
    assert sorted(rows) == [("doc", "ok"), ("query", "bad")]
    assert target in shown.text


async def test_a_process_that_is_behind_shows(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api, browsing(api) as browser:
        await browser.log_in()
        await api.proxy.deps.store.processes.report(
            "0b0f5c7e-0000-4000-8000-000000000000",
            "host-2:9",
            revision=-1,
            mappings_digest="other",
            rejected=[],
            keys=["another"],
            about={"breakers": {"legacy": "open"}, "worker": "worker-1"},
            started_at=api.clock(),
            at=api.clock(),
        )
        shown = await eventually(lambda: browser.get("/system"), lambda found: "host-2:9" in found.text)
    row = next(each for each in re.findall(r"<tr>.*?</tr>", shown.text, re.DOTALL) if "host-2:9" in each)
    for text in ("behind", "other files", "key missing", "legacy: circuit breaker open"):
        assert text in row
