"""Upstreams that misbehave in each of the ways of `kinds`: what the client is told, and what stays behind."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.asks import documented, prepared
from tests.faults.facing import facing
from tests.faults.kinds import kinds
from tests.faults.legacy import NAMES, impatient, passed_on, passing
from tests.faults.misbehaving import Figures, misbehave, settled, sockets, tasks
from tests.faults.system import CHAT, PLATFORM, System, Target, system
from tests.flows._client import until


@pytest.mark.parametrize("targets", [PLATFORM, CHAT], ids=["llamalitica", "llamachat"])
async def test_upstream_G08_X03_that_misbehaves_in_any_way_is_answered_for_as_documented(
    tmp_path: Path, targets: tuple[Target, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing of it reaches the next one who asks; nobody else is called; no task and no socket stays."""
    figures = Figures()
    async with system() as elsewhere, system() as platform, system() as chat:
        for name in ("http_proxy", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, elsewhere.url)
        async with facing(tmp_path, platform.url, chat.url) as api:
            assert (await (await prepared(api, targets[0]))()).own
            await settled(api, (platform, chat))
            before = tasks(), sockets()
            at = platform if targets == PLATFORM else chat
            for number, (name, kind) in enumerate(kinds(elsewhere.url).items()):
                await misbehave(api, at, targets[number % len(targets)], name, kind, 1, figures)
            await settled(api, (platform, chat))
            # Workers start beside serving: their tasks may have been there before, and gone.
            await until(lambda: not tasks() - before[0] and sockets() <= before[1])
        assert figures.wrong == []
        assert elsewhere.connections == 0


async def test_upstream_G08_that_refuses_connections_is_answered_for_as_documented(tmp_path: Path) -> None:
    async with system() as platform, system() as chat, facing(tmp_path, platform.url, chat.url) as api:
        for target in (*PLATFORM, *CHAT):
            ask = await prepared(api, target)
            at = platform if target in PLATFORM else chat
            await refuse(at, target)
            assert documented(target, await ask(), ("unreachable",)) is None
            at.refusing_next = None
            await at.listen()
            assert (await (await prepared(api, target))()).own


async def test_legacy_server_G08_that_misbehaves_in_any_way_is_passed_on_or_answered_for(
    tmp_path: Path,
) -> None:
    found: list[str] = []
    async with system() as elsewhere, system() as legacy, passing(tmp_path, legacy.url) as api:
        every = kinds(elsewhere.url)
        with impatient():
            for name in NAMES:
                found += await passed_on(api, legacy, name, every[name], 1)
        assert elsewhere.connections == 0
    assert found == []


async def refuse(at: System, target: Target) -> None:
    """The next call to this target meets nobody, on no connection; the user is known still."""
    if target == "create":
        at.refusing_next = asyncio.Barrier(1)
    else:
        at.deafen()
        await at.hang_up()
