"""`michiq-proxy contract --record`: the counts of a run, stored for can-switch."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from proxy.contract.catalogue import CHECKS, checks_of
from proxy.modes import Mode
from proxy.sandbox import Fault, Sandbox, SandboxConfig, run_sandbox
from proxy.store import open_store
from proxy.store.rollout.contract_runs import ContractRun
from tests.captured import captured_log
from tests.conftest import Api, StartProxy
from tests.contract.conftest import Ran, contract
from tests.rollout.moving import override
from tests.stores import ENGINES

OTHER_KEY: Final = "A" * 43 + "="


@pytest.fixture(autouse=True)
def _no_log_on_stdout() -> Iterator[None]:
    with captured_log():
        yield


@pytest.fixture(autouse=True)
async def _settings(tmp_path: Path, secret_key: str, stored_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the settings of the proxy that `api` starts."""
    for name in [name for name in os.environ if name.startswith(("MICHIQ_", "CONTRACT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    for name, value in (await ENGINES.environ(tmp_path)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def legacy() -> AsyncIterator[Sandbox]:
    async with run_sandbox(SandboxConfig()) as started:
        yield started


async def kept(api: Api) -> dict[str, ContractRun]:
    return {run.route: run for run in await api.proxy.deps.store.contract_runs.newest()}


@pytest.mark.on_both
async def test_a_run_is_kept_route_by_route_and_said_so_in_a_line(api: Api) -> None:
    ran = await contract(api.url, "--record", "--routes", "doc,webhooks")
    assert ran.output.splitlines()[-1] == "Recorded for can-switch: doc, webhooks."
    runs = await kept(api)
    assert runs.keys() == {"doc", "webhooks"}
    for route, run in runs.items():
        judged = run.passed, run.failed, run.not_applicable
        assert sum(judged) == len(checks_of({route}))
        assert (run.target, run.failed, run.passed > 0) == (api.url, 0, True)


async def test_what_fails_is_kept_as_failed(api: Api) -> None:
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, path_prefix="/api/cases", times=99))
    ran = await contract(api.url, "--record", "--routes", "doc")
    run = (await kept(api))["doc"]
    assert ran.exit_code == 1
    assert run.failed == ran.output.count(" FAIL ") > 0


async def test_without_the_option_nothing_is_kept(api: Api) -> None:
    ran = await contract(api.url, "--routes", "doc")
    assert (ran.exit_code, await kept(api)) == (0, {})
    assert "can-switch" not in ran.output


async def test_the_line_leaves_json_alone(api: Api) -> None:
    ran = await contract(api.url, "--record", "--routes", "doc", "--json")
    assert len(ran.checks) == len(checks_of({"doc"}))
    assert "Recorded for can-switch: doc." in ran.output


async def test_another_host_proves_nothing_of_the_new_side(
    legacy: Sandbox, tmp_path: Path, secret_key: str
) -> None:
    async with open_store(await ENGINES.options(tmp_path), [secret_key]):
        pass
    ran = await contract(legacy.michiq.url, "--record", "--routes", "doc")
    assert ran.output.splitlines()[-1].startswith(f"Not recorded: {legacy.michiq.url} is no michiq-proxy")
    async with open_store(await ENGINES.options(tmp_path), [secret_key]) as store:
        assert await store.contract_runs.newest() == []


@pytest.mark.parametrize(
    ("name", "value", "flags", "told"),
    [
        ("SECRET_KEYS", "", (), "MICHIQ_SECRET_KEYS is required"),
        ("SECRET_KEYS", OTHER_KEY, (), "none of the keys opens this database"),
        ("DATABASE_URL", "sqlite:////dev/null/michiq.db", (), "MICHIQ_DATABASE_URL"),
        ("DRAIN_SECONDS", "30", ("--read-only",), "--record and --read-only don't go together"),
    ],
)
async def test_where_nothing_can_be_kept_nothing_is_made(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str, value: str, flags: tuple[str, ...], told: str
) -> None:
    monkeypatch.setenv(f"MICHIQ_{name}", value)
    ran = await contract(api.url, "--record", *flags)
    assert (ran.exit_code, told in ran.output) == (2, True), ran.output
    assert api.sandbox.llamalitica.calls == []


async def test_the_ledger_of_clients_leaves_our_own_probes_out(api: Api) -> None:
    ran = await contract(api.url)
    assert _asked(ran) == len(CHECKS)
    await api.new_case()
    async with asyncio.timeout(20):
        while not (calls := await api.proxy.deps.store.ledger.calls()):
            await api.proxy.moving.recorder.flush()
    assert [(each.route, each.count, each.client.agent[:6]) for each in calls] == [("new_case", 1, "Python")]


def _asked(ran: Ran) -> int:
    return sum(f"/{len(CHECKS)} " in line for line in ran.output.splitlines())


@pytest.mark.parametrize(("mode", "taken"), [("legacy", False), ("shadow", False), ("new", True)])
async def test_a_run_that_would_tell_of_the_legacy_server_is_refused_before_it_begins(
    start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch, mode: Mode, taken: bool
) -> None:
    async with start_proxy(legacy=True) as api:
        monkeypatch.setenv("MICHIQ_LEGACY_URL", api.sandbox.michiq.url)
        await override(api, "new_case", mode)
        ran = await contract(api.url, "--record", "--routes", "doc")
        assert (ran.exit_code == 0) is taken, ran.output
        assert ("makes the cases of Clínica Norte" in ran.output) is not taken
