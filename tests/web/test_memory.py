"""Two processes on one store: one forgets a user's data in memory when the other erases or renews it."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.store.upkeep.erasure import OfUser
from tests import samples
from tests.conftest import IDENTITY, Api, StartProxy
from tests.flows._client import Patient, patient
from tests.stores import ENGINES

AUDIO = samples.wav(0.1)


async def erase(folder: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs `michiq-proxy erase` beside the processes that serve."""
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", key)
    for name, value in (await ENGINES.environ(folder)).items():
        monkeypatch.setenv(name, value)
    of_user = ("--user", IDENTITY["user_mail"], "--organization", IDENTITY["organization"])
    result = await asyncio.to_thread(CliRunner().invoke, main, ("erase", *of_user, "--yes"))
    assert result.exit_code == 0, result.output


def user(api: Api) -> OfUser:
    return OfUser(api.proxy.deps.store.sealer.owner(IDENTITY["user_mail"], IDENTITY["organization"]))


@pytest.mark.on_both
async def test_once_erase_says_done_no_process_serves_the_user_or_writes_a_row_of_theirs(
    start_proxy: StartProxy, secret_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_proxy() as one, start_proxy() as other:
        here = await patient(one)
        there = Patient(other, here.id, here.token)
        both = (here, there)
        for each in both:
            await each.document()
            await each.call("POST", "/michiQ/query/{id}", json={"query": "¿Qué dolor tiene?"})
        assert [len(api.proxy.deps.readings) for api in (one, other)] == [1, 1]
        await erase(tmp_path, secret_key, monkeypatch)
        assert [len(api.proxy.deps.readings) for api in (one, other)] == [0, 0]
        statuses = [(await each.call("GET", "/michiQ/doc/{id}")).status for each in both]
        statuses += [(await each.upload(AUDIO)).status for each in both]
        assert statuses == [401] * 4
        assert await one.proxy.deps.store.erasure.find(user(one)) == {}


async def test_calls_that_go_on_while_a_user_is_erased_bring_nothing_of_them_back(
    start_proxy: StartProxy, secret_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_proxy() as one, start_proxy() as other:
        here = await patient(one)
        there = Patient(other, here.id, here.token)
        done = asyncio.Event()

        async def call(each: Patient) -> set[int]:
            statuses = set()
            while not done.is_set():
                statuses.add((await each.upload(AUDIO)).status)
                statuses.add((await each.call("GET", "/michiQ/doc/{id}")).status)
            return statuses

        async with asyncio.TaskGroup() as group:
            calling = [group.create_task(call(each)) for each in (here, there)]
            await erase(tmp_path, secret_key, monkeypatch)
            done.set()
        assert set().union(*(each.result() for each in calling)) <= {200, 401}
        assert await one.proxy.deps.store.erasure.find(user(one)) == {}


async def test_G06_what_one_process_renewed_the_other_has_within_a_second(start_proxy: StartProxy) -> None:
    async with start_proxy() as one, start_proxy() as other:
        here = await patient(one)
        sessions = other.proxy.deps.store.sessions
        assert await sessions.get(here.token) is not None
        async with asyncio.timeout(10):
            await one.proxy.deps.store.sessions.renew(here.token, "renewed", None)
            while (session := await sessions.get(here.token)) and session.access_token != "renewed":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
