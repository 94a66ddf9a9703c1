"""Tests what replicas on one PostgreSQL and S3 do together, and what an operator sees of all of them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet

from proxy.cli import main
from proxy.sandbox import Fault
from proxy.store.rollout.evidence import Outcome
from tests.captured import captured_log
from tests.conftest import Api, StartProxy, bearer
from tests.flows._client import settled
from tests.rollout.moving import eventually, new_case, override
from tests.store.examples import entry
from tests.stores import ENGINES

pytestmark = pytest.mark.parametrize("stored_in", ["replicated"], indirect=True)
MAIL, ORGANIZATION = "ana@clinica.example", "Clínica Norte"


@dataclass(frozen=True, slots=True)
class Replicas:
    """Two replicas in front of one sandbox, and an operator's shell beside them."""

    one: Api
    other: Api

    async def call(self, *arguments: str, code: int = 0) -> Any:
        """Runs a command as an operator does; returns its JSON."""
        result = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    async def flush(self) -> None:
        for each in (self.one, self.other):
            await settled(each)
            await each.proxy.moving.recorder.flush()


@pytest.fixture
async def replicas(
    start_proxy: StartProxy, tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Replicas]:
    with captured_log():
        async with both(start_proxy) as (one, other):
            stored = await ENGINES.options(tmp_path)
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("MICHIQ_DATABASE_URL", stored.database_url)
            monkeypatch.setenv("MICHIQ_BLOBS_URL", stored.blobs_url)
            monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
            yield Replicas(one, other)


@asynccontextmanager
async def both(start_proxy: StartProxy) -> AsyncIterator[tuple[Api, Api]]:
    async with start_proxy(legacy=True) as one:
        urls = {
            "MICHIQ_LLAMALITICA_API_URL": one.sandbox.llamalitica.url,
            "MICHIQ_LLAMACHAT_URL": one.sandbox.llamachat.url,
            "MICHIQ_LEGACY_URL": one.sandbox.michiq.url,
        }
        async with start_proxy(legacy=True, **urls) as other:
            yield one, other


def modes(replicas: Replicas, route: str = "doc") -> Sequence[str]:
    return [
        each.proxy.moving.live.now.in_force(route, None, each.clock()).mode
        for each in (replicas.one, replicas.other)
    ]


async def status(api: Api, token: str, case_id: str) -> int:
    async with api.http.get(f"{api.url}/michiQ/doc/{case_id}", headers=bearer(token)) as response:
        return response.status


async def test_a_change_is_in_force_in_each_replica_once_mode_has_waited(replicas: Replicas) -> None:
    await replicas.call("mode", "set", "doc", "off", "--reason", "a test", "--wait")
    assert modes(replicas) == ["off", "off"]


async def test_a_canary_steps_back_by_the_answers_of_all_replicas(replicas: Replicas) -> None:
    """Neither replica sees enough answers itself."""
    await override(replicas.one, "new_case", "canary", percent=100.0)
    await replicas.other.proxy.moving.follower.catch_up()
    replicas.one.sandbox.llamalitica.faults.add(Fault(kind="status", times=1000))
    for _ in range(12):
        for each in (replicas.one, replicas.other):
            assert (await new_case(each))[0] == 500
    await replicas.flush()
    history = replicas.one.proxy.deps.store.overrides.history
    newest = (await eventually(history, lambda found: found[0].actor == "proxy"))[0]
    assert (newest.mode, newest.revision) == ("legacy", 2)
    assert " of 2" in newest.reason
    for each in (replicas.one, replicas.other):
        await each.proxy.moving.follower.catch_up()
    # An operator tries again: what was counted before does not count any more, in either replica.
    await override(replicas.one, "new_case", "canary", percent=100.0)
    await replicas.other.proxy.moving.follower.catch_up()
    for each in (replicas.one, replicas.other):
        assert (await new_case(each))[0] == 500
    await replicas.flush()
    assert (await history())[0].actor == "ana"


async def test_an_erased_user_is_gone_from_the_memory_of_each_replica(replicas: Replicas) -> None:
    made = await replicas.one.new_case()
    token, case_id = made["token"], made["michiq_uuid"]
    for each in (replicas.one, replicas.other) * 2:
        assert await status(each, token, case_id) == 200
    await replicas.call("erase", "--user", MAIL, "--organization", ORGANIZATION, "--yes", "--actor", "eva")
    for each in (replicas.one, replicas.other):
        assert await eventually(lambda each=each: status(each, token, case_id), lambda found: found != 200)  # type: ignore[misc]


async def test_the_ledger_and_the_audit_have_the_calls_of_all_replicas(replicas: Replicas) -> None:
    for each in (replicas.one, replicas.other, replicas.other):
        assert (await new_case(each))[0] == 200
    await replicas.flush()
    rows = await replicas.call("clients")
    assert sum(row["count"] for row in rows) == 3
    verified = await replicas.call("audit", "verify")
    assert (verified["ok"], verified["first_bad"]) == (True, None)


async def test_the_evidence_of_all_replicas_decides_about_a_route(replicas: Replicas) -> None:
    for each in (replicas.one, replicas.other):
        for _ in range(3):
            each.proxy.moving.recorder.compared(Outcome("doc", "c" * 64, "difference"))
    await replicas.flush()
    found = await replicas.call("can-switch", "doc", code=1)
    assert (found["comparisons"], found["differing"]) == (6, 6)


async def test_a_request_is_explained_whichever_replica_answered_it(replicas: Replicas) -> None:
    for each in (replicas.one, replicas.other):
        asked = (await new_case(each))[1]["X-Request-ID"]
        await replicas.flush()
        assert json.dumps(await replicas.call("explain", asked)).count("new_case")


async def test_a_call_of_an_ended_replica_is_shown_once_by_those_that_are_left(
    replicas: Replicas, start_proxy: StartProxy
) -> None:
    async with start_proxy() as third:
        await third.proxy.deps.store.journal.begin(entry())
    for each in (replicas.one, replicas.other):
        each.proxy.take_over_soon()
    pending = replicas.one.proxy.deps.store.pending
    assert [call.id for call in await eventually(pending, bool)] == ["intent-1"]
    assert json.dumps(await replicas.call("routes", "--pending")).count("intent-1") == 1


async def test_rotating_keys_is_refused_while_any_replica_lacks_the_new_one(
    replicas: Replicas, secret_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{Fernet.generate_key().decode()},{secret_key}")
    result = await asyncio.to_thread(CliRunner().invoke, main, ["rotate-keys"])
    assert result.exit_code == 1
    assert "lack the first of MICHIQ_SECRET_KEYS" in result.output
    assert result.output.count(f":{os.getpid()}") == 2
