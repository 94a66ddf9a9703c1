"""Notes between processes: a change is followed at once, not only at the next look."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest

from proxy.modes import Mode
from proxy.store.rollout.overrides import Change
from tests.store.examples import NOW, opened


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("engine")
async def test_a_change_of_an_override_wakes_another_process(tmp_path: Path) -> None:
    woken = asyncio.Event()
    modes: Iterator[Mode] = cycle(("shadow", "legacy"))
    async with opened(tmp_path) as one, opened(tmp_path) as other, asyncio.timeout(20):
        other.backend.when_overridden(woken.set)
        while not woken.is_set():  # its connection may not listen yet
            change = Change(actor="eva", route="doc", mode=next(modes), reason="test")
            await one.overrides.change(change, expected=None, at=NOW)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await woken.wait()
