"""One of several processes sends an alert."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from proxy.store import Store

NOW: Final = datetime(2026, 11, 29, tzinfo=UTC)
QUIET: Final = timedelta(minutes=10)


async def test_one_of_many_sends_it_and_after_a_while_one_again(store: Store) -> None:
    for at, sent in ((NOW, 1), (NOW + QUIET / 2, 0), (NOW + QUIET, 1), (NOW + QUIET * 1.5, 0)):
        asked = [store.alerts.claim("breaker-open:legacy", at, QUIET) for _ in range(5)]
        assert sum(await asyncio.gather(*asked)) == sent
    assert await store.alerts.claim("breaker-open:llamachat", NOW, QUIET)


async def test_old_ones_are_forgotten(store: Store) -> None:
    assert await store.alerts.claim("mappings-rejected:abc", NOW, timedelta(days=99))
    assert await store.alerts.claim("mappings-rejected:abc", NOW + timedelta(days=31), timedelta(days=99))
