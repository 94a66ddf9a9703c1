"""A recording's chunks, played back as one file that can seek."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from proxy.store import BlobError, Store
from proxy.store.blobs.frames import FRAME
from proxy.store.blobs.recording_file import Playback

Pieces = Sequence[tuple[str, bytes]]
SIZES = (7, FRAME, 1, 2 * FRAME + 5, 300)
WHOLE = Random(1).randbytes(sum(SIZES))


async def stored(store: Store, *contents: bytes) -> list[tuple[str, bytes]]:
    pieces = []
    for content in contents:
        async with store.blobs.writer() as writer:
            await writer.write(content)
            name, key = await writer.commit()
        async with store.blobs.local([name]) as (path,):
            pieces.append((str(path), key))
    return pieces


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def change(path: str, place: int) -> None:
    file = Path(path)
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)


@pytest.fixture
async def pieces(store: Store) -> Pieces:
    """Returns WHOLE in chunks of SIZES."""
    file = io.BytesIO(WHOLE)
    return await stored(store, *(file.read(size) for size in SIZES))


def test_the_chunks_are_read_as_one_file(pieces: Pieces) -> None:
    with Playback(pieces) as raw, io.BufferedReader(raw) as file:
        assert file.read() == WHOLE
        assert file.read() == b""


@pytest.mark.parametrize("size", [1000, FRAME, FRAME + 1, 3 * FRAME])
def test_reads_of_any_size_go_over_the_borders_of_chunks_and_frames(pieces: Pieces, size: int) -> None:
    with Playback(pieces) as raw, io.BufferedReader(raw) as file:
        assert b"".join(iter(lambda: file.read(size), b"")) == WHOLE


def test_any_place_can_be_sought_in_any_order(pieces: Pieces) -> None:
    random, like = Random(2), io.BytesIO(WHOLE)
    with Playback(pieces) as raw, io.BufferedReader(raw) as file:
        for _ in range(200):
            offset = random.randrange(len(WHOLE) + 100)
            assert file.seek(offset) == like.seek(offset)
            size = random.randrange(2 * FRAME)
            assert file.read(size) == like.read(size)


@pytest.mark.parametrize(
    ("offset", "whence", "place"),
    [
        (5, io.SEEK_SET, 5),
        (-5, io.SEEK_CUR, 2),
        (5, io.SEEK_CUR, 12),
        (-5, io.SEEK_END, len(WHOLE) - 5),
        (0, io.SEEK_END, len(WHOLE)),
        (10**9, io.SEEK_SET, 10**9),
        (-1, io.SEEK_SET, 0),
    ],
)
def test_it_seeks_from_its_start_its_end_and_where_it_is(
    pieces: Pieces, offset: int, whence: int, place: int
) -> None:
    with Playback(pieces) as file:
        file.read(7)
        assert file.seek(offset, whence) == file.tell() == place
        assert io.BufferedReader(file).read(3) == WHOLE[place : place + 3]


def test_a_file_without_chunks_is_empty() -> None:
    with Playback([]) as file:
        assert file.seek(0, io.SEEK_END) == 0
        assert file.read(10) == b""


async def test_an_empty_chunk_is_passed_over(store: Store) -> None:
    with Playback(await stored(store, b"", b"uno", b"", b"dos", b"")) as raw, io.BufferedReader(raw) as file:
        assert file.read() == b"unodos"


async def test_a_recording_of_more_chunks_than_files_may_be_open_is_read_all_the_same(store: Store) -> None:
    numbers = [b"%03d" % number for number in range(100)]
    chunks = await stored(store, *numbers)
    before = open_files()
    with Playback(chunks) as raw, io.BufferedReader(raw) as file:
        assert file.read() == b"".join(numbers)
        assert open_files() <= before + 1
    assert open_files() == before


@pytest.mark.parametrize("place", [0, FRAME + 16 + 3, -1])
async def test_playback_U06_a_damaged_chunk_is_refused(store: Store, place: int) -> None:
    ((path, key),) = await stored(store, WHOLE)
    change(path, place)
    with Playback([(path, key)]) as playback, pytest.raises(BlobError):
        io.BufferedReader(playback).read()


async def test_playback_U06_a_chunk_under_another_ones_key_is_refused(store: Store) -> None:
    (path, _), (_, key) = await stored(store, b"uno", b"dos")
    with Playback([(path, key)]) as file, pytest.raises(BlobError):
        file.read(1)


async def test_playback_U06_a_chunk_that_was_cut_is_refused(store: Store) -> None:
    ((path, key),) = await stored(store, WHOLE)
    os.truncate(path, FRAME + 16)
    with Playback([(path, key)]) as playback, pytest.raises(BlobError):
        io.BufferedReader(playback).read()
