"""Encrypted blobs, in a folder and in an S3 store."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.store.blobs.frames import FRAME, SEALED
from proxy.store.errors import BlobError

from .conftest import Shelf, content_of, get, put

SIZES = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 7]


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_comes_back_as_it_was_written(shelf: Shelf, size: int) -> None:
    name, key = await put(shelf.blobs, content_of(size))
    assert await get(shelf.blobs, name, key) == content_of(size)


async def test_one_large_piece_is_as_good_as_many(shelf: Shelf) -> None:
    name, key = await put(shelf.blobs, content_of(5 * FRAME), piece=10 * FRAME)
    assert await get(shelf.blobs, name, key) == content_of(5 * FRAME)


@pytest.mark.parametrize("piece", [997, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 5 * FRAME])
@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_is_the_same_and_known_by_its_digest_however_it_came(
    shelf: Shelf, size: int, piece: int
) -> None:
    content = content_of(size)
    async with shelf.blobs.writer() as writer:
        for start in range(0, size, piece):
            await writer.write(content[start : start + piece])
        assert writer.sha256 == hashlib.sha256(content).hexdigest()
        name, key = await writer.commit()
    assert await get(shelf.blobs, name, key) == content
    assert len(await shelf.content(name)) == size + 16 * max(1, -(-size // FRAME))


async def test_blobs_U06_what_0_1_wrote_opens(shelf: Shelf) -> None:
    """Seals frames of 64 KiB; the nonce is the frame's number in eleven bytes, and whether it is the last."""
    name, key, content = "a" * 32, b"k" * 32, content_of(2 * FRAME + 7)
    frames = [content[:FRAME], content[FRAME : 2 * FRAME], content[2 * FRAME :]]
    nonces = [number.to_bytes(11, "big") + bytes([number == 2]) for number in range(3)]
    sealed = [AESGCM(key).encrypt(*pair, None) for pair in zip(nonces, frames, strict=True)]
    await shelf.replace(name, b"".join(sealed))
    assert await get(shelf.blobs, name, key) == content


async def test_reading_goes_by_pieces_of_bounded_size(shelf: Shelf) -> None:
    name, key = await put(shelf.blobs, content_of(3 * FRAME + 7))
    assert [len(piece) async for piece in shelf.blobs.read(name, key)] == [FRAME, FRAME, FRAME, 7]


@pytest.mark.parametrize("size", [0, FRAME, 3 * FRAME + 7, 6 * 1024 * 1024])
async def test_a_blob_is_adopted_as_it_is_encrypted_and_replaces_what_is_there(
    shelf: Shelf, size: int
) -> None:
    (name, key), adopted = await put(shelf.blobs, content_of(size), FRAME), "a" * 32
    for _ in range(2):
        await shelf.blobs.adopt(adopted, shelf.blobs.sealed(name))
        assert await shelf.content(adopted) == await shelf.content(name)
        assert await get(shelf.blobs, adopted, key) == content_of(size)
        await shelf.replace(adopted, b"something else")


async def test_the_stored_size_is_that_of_the_encrypted_blob(shelf: Shelf) -> None:
    name, _ = await put(shelf.blobs, content_of(FRAME + 1))
    assert await shelf.blobs.stored_size(name) == FRAME + 1 + 2 * 16
    assert await shelf.blobs.stored_size("a" * 32) is None


async def test_nothing_stays_of_a_blob_whose_frames_break_off(shelf: Shelf) -> None:
    async def frames() -> AsyncIterator[bytes]:
        for _ in range(90):
            yield bytes(SEALED)
        raise BlobError("no such blob")

    with pytest.raises(BlobError):
        await shelf.blobs.adopt("a" * 32, frames())
    assert await shelf.names() == []


async def test_several_blobs_are_read_one_after_the_other(shelf: Shelf) -> None:
    contents = [content_of(size) for size in (7, 0, 3 * FRAME + 7, FRAME, *range(20))]
    pieces = [await put(shelf.blobs, each) for each in contents]
    assert b"".join([piece async for piece in shelf.blobs.read_all(pieces)]) == b"".join(contents)


async def test_a_missing_blob_among_several_is_an_error_at_its_turn(shelf: Shelf) -> None:
    pieces = [await put(shelf.blobs, each) for each in (b"one", b"two", b"three")]
    await shelf.blobs.delete(pieces[1][0])
    found = shelf.blobs.read_all(pieces)
    assert await anext(found) == b"one"
    with pytest.raises(BlobError, match="no such blob"):
        await anext(found)


async def test_blobs_U06_nothing_stored_is_in_the_clear(shelf: Shelf) -> None:
    name, _ = await put(shelf.blobs, b"canary of a patient" * 10_000)
    assert await shelf.names() == [name]
    assert b"canary" not in await shelf.content(name)


async def test_blobs_U06_each_blob_has_a_key_of_its_own(shelf: Shelf) -> None:
    (first, _), (_, second_key) = await put(shelf.blobs, b"one"), await put(shelf.blobs, b"two")
    with pytest.raises(BlobError):
        await get(shelf.blobs, first, second_key)


FRAME_1, FRAME_2 = slice(0, SEALED), slice(SEALED, 2 * SEALED)
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut inside a frame": lambda raw: raw[:-1],
    "cut between frames": lambda raw: raw[: 2 * SEALED],
    "cut to less than a tag": lambda raw: raw[:5],
    "emptied": lambda raw: b"",
    "frames swapped": lambda raw: raw[FRAME_2] + raw[FRAME_1] + raw[2 * SEALED :],
    "a frame left out": lambda raw: raw[FRAME_1] + raw[2 * SEALED :],
    "a frame twice": lambda raw: raw[FRAME_1] + raw,
    "one bit changed": lambda raw: raw[:100] + bytes([raw[100] ^ 1]) + raw[101:],
    "a byte added": lambda raw: raw + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_blobs_U06_a_damaged_blob_is_refused(shelf: Shelf, damage: str) -> None:
    name, key = await put(shelf.blobs, content_of(2 * FRAME + 7))
    await shelf.replace(name, DAMAGES[damage](await shelf.content(name)))
    with pytest.raises(BlobError):
        await get(shelf.blobs, name, key)


@pytest.mark.parametrize("name", ["f" * 32, "../../etc/passwd", "", "F" * 32, "f" * 32 + "\n"])
async def test_a_missing_or_impossible_name_is_no_blob(shelf: Shelf, name: str) -> None:
    with pytest.raises(BlobError, match="no such blob"):
        await get(shelf.blobs, name, b"k" * 32)


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(shelf: Shelf) -> None:
    name, _ = await put(shelf.blobs, b"x")
    await shelf.blobs.delete(name)
    await shelf.blobs.delete(name)
    assert await shelf.names() == []


async def test_without_commit_nothing_stays(shelf: Shelf) -> None:
    async with shelf.blobs.writer() as writer:
        await writer.write(content_of(3 * FRAME))
    assert await shelf.names() == []


async def test_a_cancelled_upload_leaves_nothing(shelf: Shelf) -> None:
    under_way = asyncio.Event()

    async def upload() -> None:
        async with shelf.blobs.writer() as writer:
            while True:
                await writer.write(content_of(2 * FRAME))
                under_way.set()

    task = asyncio.create_task(upload())
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await shelf.names() == []


async def test_blobs_are_listed_by_age(shelf: Shelf) -> None:
    name, _ = await put(shelf.blobs, b"x")
    assert await shelf.blobs.stale(datetime(2999, 1, 1, tzinfo=UTC)) == [name]
    assert await shelf.blobs.stale(datetime(1999, 1, 1, tzinfo=UTC)) == []


async def test_a_try_for_readiness_leaves_nothing(shelf: Shelf) -> None:
    await shelf.blobs.check()
    assert await shelf.names() == []
