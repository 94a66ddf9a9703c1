"""The counter of audio answers at once, and counts again only after a while."""

from proxy.store import Store
from proxy.store.upkeep.blob_counter import BlobCounter, BlobTotals
from tests.rollout.moving import eventually
from tests.store.examples import add_chunk


async def test_new_pieces_count_after_ten_minutes(store: Store) -> None:
    now = 0.0
    counter = BlobCounter(store.database, lambda: now)
    assert await eventually(counter.totals, bool) == BlobTotals(0, 0)
    await add_chunk(store, b"12345", opens=True)
    assert await counter.totals() == BlobTotals(0, 0)
    now = 601.0
    found = await eventually(counter.totals, lambda totals: totals != BlobTotals(0, 0))
    assert found == BlobTotals(1, 5)
