"""Streams that are read ahead, and come in order."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from proxy.concurrency.ahead import ahead


class Sources:
    """Numbered sources of three items each, which note what was asked of them."""

    def __init__(self, fails: int = -1) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.made = 0
        self._fails = fails

    async def source(self, number: int) -> AsyncGenerator[str, None]:
        self.begun.append(number)
        try:
            for item in range(3):
                await asyncio.sleep(0)
                if number == self._fails and item == 1:
                    raise OSError
                self.made += 1
                yield f"{number}.{item}"
        finally:
            self.ended.append(number)


async def idle() -> None:
    """Returns after everything that can run has run."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("most", [1, 2, 5, 9])
@pytest.mark.parametrize("room", [1, 2, 5])
async def test_items_come_in_order(most: int, room: int) -> None:
    sources = Sources()
    found = [item async for item in ahead((sources.source(n) for n in range(5)), most, room)]
    assert found == [f"{number}.{item}" for number in range(5) for item in range(3)]
    assert sources.ended == sources.begun


async def test_no_more_sources_and_items_are_read_ahead_than_asked() -> None:
    sources = Sources()
    items = ahead((sources.source(n) for n in range(5)), most=3, room=2)
    await anext(items)
    await idle()
    # Each has two items that wait, and one in its hand.
    assert (sources.begun, sources.made) == ([0, 1, 2], 9)
    await items.aclose()


async def test_an_error_comes_in_its_turn_and_ends_the_others() -> None:
    sources, found = Sources(fails=1), []
    with pytest.raises(OSError):  # noqa: PT011, PT012 - the items before it count
        async for item in ahead((sources.source(n) for n in range(5)), most=3, room=9):
            await idle()
            found.append(item)
    assert found == ["0.0", "0.1", "0.2", "1.0"]
    assert sorted(sources.ended) == sorted(sources.begun)


async def test_whoever_stops_early_ends_all_sources() -> None:
    sources = Sources()
    items = ahead((sources.source(n) for n in range(5)), most=3, room=1)
    await anext(items)
    await idle()
    await items.aclose()
    assert (sources.begun, sorted(sources.ended)) == ([0, 1, 2], [0, 1, 2])


async def test_nothing_is_read_of_no_source() -> None:
    none: list[AsyncGenerator[str, None]] = []
    assert [item async for item in ahead(none, 3, 3)] == []
