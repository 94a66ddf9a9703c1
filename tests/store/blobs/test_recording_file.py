"""A recording's chunks, played back as one file that can seek."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from proxy.store import BlobError
from proxy.store.blobs.frames import FRAME
from proxy.store.blobs.protocol import LocalBlob
from proxy.store.blobs.recording_file import Playback

from .conftest import Shelf, put

Pieces = Sequence[tuple[LocalBlob, bytes]]
Damage = Callable[[bytes], bytes]
Stored = Callable[..., Awaitable[list[tuple[LocalBlob, bytes]]]]
SIZES = (7, FRAME, 1, 2 * FRAME + 5, 300)
WHOLE = Random(1).randbytes(sum(SIZES))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def changed(place: int) -> Damage:
    """Returns a damage of one bit at this position."""

    def damage(raw: bytes) -> bytes:
        copy = bytearray(raw)
        copy[place] ^= 1
        return bytes(copy)

    return damage


@pytest.fixture
async def stored(shelf: Shelf) -> AsyncIterator[Stored]:
    """Stores contents, damages them if asked, and gives what a worker gets, until the test ends."""
    async with AsyncExitStack() as stack:

        async def store(*contents: bytes, damage: Damage | None = None) -> list[tuple[LocalBlob, bytes]]:
            written = [await put(shelf.blobs, each) for each in contents]
            for name, _ in written if damage else ():
                await shelf.replace(name, damage(await shelf.content(name)))  # type: ignore[misc]
            names, keys = [name for name, _ in written], [key for _, key in written]
            local = await stack.enter_async_context(shelf.blobs.local(names))
            return list(zip(local, keys, strict=True))

        yield store


@pytest.fixture
async def pieces(stored: Stored) -> Pieces:
    """Returns WHOLE in chunks of SIZES."""
    file = io.BytesIO(WHOLE)
    return await stored(*(file.read(size) for size in SIZES))


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


async def test_an_empty_chunk_is_passed_over(stored: Stored) -> None:
    with Playback(await stored(b"", b"uno", b"", b"dos", b"")) as raw, io.BufferedReader(raw) as file:
        assert file.read() == b"unodos"


async def test_a_recording_of_more_chunks_than_files_may_be_open_is_read_all_the_same(stored: Stored) -> None:
    numbers = [b"%03d" % number for number in range(100)]
    chunks = await stored(*numbers)
    before = open_files()
    with Playback(chunks) as raw, io.BufferedReader(raw) as file:
        assert file.read() == b"".join(numbers)
        assert open_files() <= before + 1
    assert open_files() == before


@pytest.mark.parametrize("place", [0, FRAME + 16 + 3, -1])
async def test_playback_U06_a_damaged_chunk_is_refused(stored: Stored, place: int) -> None:
    with Playback(await stored(WHOLE, damage=changed(place))) as playback, pytest.raises(BlobError):
        io.BufferedReader(playback).read()


async def test_playback_U06_a_chunk_under_another_ones_key_is_refused(stored: Stored) -> None:
    (path, _), (_, key) = await stored(b"uno", b"dos")
    with Playback([(path, key)]) as file, pytest.raises(BlobError):
        file.read(1)


async def test_playback_U06_a_chunk_that_was_cut_is_refused(stored: Stored) -> None:
    with (
        Playback(await stored(WHOLE, damage=lambda raw: raw[: FRAME + 16])) as playback,
        pytest.raises(BlobError),
    ):
        io.BufferedReader(playback).read()
