"""Recordings and their chunks."""

import asyncio

import pytest

from proxy.store import Store
from proxy.values import Recording

from .examples import NOW, OTHER, OWNER, add_chunk, chunk


async def pieces(store: Store, owner: str = OWNER) -> list[list[str]]:
    """The digests of the chunks, by recording."""
    return [[c.sha256 for c in kept.chunks] for kept in await store.recordings.of(owner, "case-1")]


def digests(*contents: bytes) -> list[str]:
    return [chunk(content).sha256 for content in contents]


async def test_recordings_U01_a_recording_comes_back_as_it_was_uploaded(store: Store) -> None:
    await add_chunk(store, b"one")
    await add_chunk(store, b"two")
    (kept,) = await store.recordings.of(OWNER, "case-1")
    assert kept == Recording(
        id=kept.id,
        legacy_id="case-1",
        filename="consulta de Pérez.webm",
        content_type="audio/webm",
        container="webm",
        created_at=NOW,
        chunks=(chunk(b"one"), chunk(b"two")),
    )


async def test_recordings_U04_a_chunk_that_opens_begins_a_new_recording(store: Store) -> None:
    for content, opens in ((b"1", True), (b"2", False), (b"3", True), (b"4", False)):
        await add_chunk(store, content, opens=opens)
    assert await pieces(store) == [digests(b"1", b"2"), digests(b"3", b"4")]


async def test_recordings_U04_a_first_chunk_opens_a_recording_whatever_it_is(store: Store) -> None:
    assert await add_chunk(store, b"1", opens=False)
    assert await pieces(store) == [digests(b"1")]


async def test_recordings_U04_twelve_chunks_keep_their_order(store: Store) -> None:
    contents = [bytes([n]) for n in range(12)]
    for content in contents:
        await add_chunk(store, content)
    assert await pieces(store) == [digests(*contents)]


@pytest.mark.parametrize("opens", [True, False])
async def test_recordings_U04_a_chunk_sent_again_right_after_makes_no_copy(store: Store, opens: bool) -> None:
    assert await add_chunk(store, b"1", opens=opens)
    assert not await add_chunk(store, b"1", opens=opens)
    assert await pieces(store) == [digests(b"1")]


async def test_recordings_U04_equal_bytes_later_on_are_kept(store: Store) -> None:
    await add_chunk(store, b"1", opens=True)
    await add_chunk(store, b"2")
    other = chunk(b"1", blob="f" * 32)
    common = {"filename": "", "content_type": "", "container": None, "at": NOW}
    assert await store.recordings.add_chunk(OWNER, "case-1", other, opens=False, **common)  # type: ignore[arg-type]
    assert await pieces(store) == [digests(b"1", b"2", b"1")]


async def test_recordings_U04_chunks_that_arrive_at_once_make_one_recording(store: Store) -> None:
    await asyncio.gather(*(add_chunk(store, bytes([n])) for n in range(20)))
    assert [len(recording) for recording in await pieces(store)] == [20]


async def test_recordings_U03_equal_ids_of_two_owners_never_meet(store: Store) -> None:
    await add_chunk(store, b"1")
    await add_chunk(store, b"2", owner=OTHER)
    assert await pieces(store) == [digests(b"1")]
    assert await pieces(store, OTHER) == [digests(b"2")]


async def test_recordings_U04_the_tip_is_the_last_recording_and_its_last_chunk(store: Store) -> None:
    for content, opens in ((b"first", True), (b"1", True), (b"22", False)):
        await add_chunk(store, content, opens=opens)
    tip = await store.recordings.tip(OWNER, "case-1")
    assert tip is not None
    assert (tip.size, tip.chunk_size, tip.chunk_sha256) == (3, 2, chunk(b"22").sha256)


async def test_an_id_without_audio_has_no_tip(store: Store) -> None:
    assert await store.recordings.tip(OWNER, "case-1") is None
