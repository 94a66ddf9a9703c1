"""Recordings and their chunks."""

import asyncio

import pytest

from proxy.store import Store
from proxy.store.records.short_chunks import ShortChunk
from proxy.values import Recording
from tests.store.examples import NOW, OTHER, OWNER, add_chunk, chunk, transcription


async def pieces(store: Store, owner: str = OWNER) -> list[list[str]]:
    """Returns the digests of the chunks, by recording."""
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


def short(data: bytes) -> ShortChunk:
    return ShortChunk(data, "primera.webm", None)


async def test_recordings_U04_short_chunks_at_the_end_are_told_with_the_tip(store: Store) -> None:
    await add_chunk(store, b"\x1a", short=short(b"\x1a"))
    await add_chunk(store, b"webm")
    for data in (b"R", b"I"):
        await add_chunk(store, data, short=short(data))
    tip = await store.recordings.tip(OWNER, "case-1")
    assert tip is not None
    assert tip.short == (short(b"R"), short(b"I"))
    assert "primera" not in repr(tip)


async def test_recordings_U04_short_chunks_that_opened_a_recording_are_moved_there(store: Store) -> None:
    for data in (b"webm", b"R", b"I"):
        await add_chunk(store, data, short=short(data))
    await add_chunk(store, b"FF", opens=True, taken=2)
    await add_chunk(store, b"more")
    assert await pieces(store) == [digests(b"webm"), digests(b"R", b"I", b"FF", b"more")]


async def test_recordings_U04_a_recording_of_short_chunks_alone_becomes_what_they_opened(
    store: Store,
) -> None:
    common = {"content_type": "", "at": NOW}
    await store.recordings.add_chunk(
        OWNER,
        "case-1",
        chunk(b"\x1a"),
        opens=True,
        filename="audio",
        container=None,
        short=short(b"\x1a"),
        **common,  # type: ignore[arg-type]
    )
    await add_chunk(store, b"E", opens=True, taken=1)
    (kept,) = await store.recordings.of(OWNER, "case-1")
    assert (kept.filename, kept.content_type, kept.container) == (
        "consulta de Pérez.webm",
        "audio/webm",
        "webm",
    )
    assert [each.sha256 for each in kept.chunks] == digests(b"\x1a", b"E")


async def test_recordings_U04_a_short_chunk_sent_again_makes_no_copy(store: Store) -> None:
    await add_chunk(store, b"webm")
    assert await add_chunk(store, b"R", short=short(b"R"))
    assert not await add_chunk(store, b"R", short=short(b"R"))
    assert await add_chunk(store, b"IFF", opens=True, taken=1)
    assert not await add_chunk(store, b"IFF", opens=True)
    assert await pieces(store) == [digests(b"webm"), digests(b"R", b"IFF")]


async def test_recordings_S04_what_was_heard_with_a_short_chunk_that_moved_on_is_not_heard_again(
    store: Store,
) -> None:
    await add_chunk(store, b"webm")
    await add_chunk(store, b"R", short=short(b"R"))
    (whole,) = await store.recordings.of(OWNER, "case-1")
    await store.transcriptions.put(OWNER, "case-1", transcription(whole.digest))
    attempt = await store.links.begin("case-1", whole.digest, NOW)
    assert attempt
    await store.links.done(attempt, "case-9")
    await add_chunk(store, b"IFF", opens=True, taken=1)
    first, second = await store.recordings.of(OWNER, "case-1")
    assert await store.transcriptions.of(OWNER, "case-1") == [transcription(first.digest)]
    assert not await store.links.begin("case-1", first.digest, NOW)
    assert await store.links.begin("case-1", second.digest, NOW)


async def test_recordings_S05_a_linked_case_under_way_keeps_its_name(store: Store) -> None:
    await add_chunk(store, b"webm")
    await add_chunk(store, b"R", short=short(b"R"))
    (whole,) = await store.recordings.of(OWNER, "case-1")
    attempt = await store.links.begin("case-1", whole.digest, NOW)
    assert attempt
    await add_chunk(store, b"IFF", opens=True, taken=1)
    await store.links.done(attempt, "case-9")
    (link,) = await store.links.of("case-1")
    assert (link.digest, link.state) == (whole.digest, "done")


async def test_an_id_without_audio_has_no_tip(store: Store) -> None:
    assert await store.recordings.tip(OWNER, "case-1") is None
