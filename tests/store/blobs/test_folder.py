"""Encrypted blobs in a folder."""

import asyncio
import fcntl
import hashlib
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.store.blobs.folder import FolderBlobs
from proxy.store.blobs.frames import FRAME, SEALED
from proxy.store.errors import BlobError

SIZES = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 7]


class Names:
    """Names in order: 000…0, 000…1, and so on."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self) -> str:
        self.given += 1
        return f"{self.given:032x}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(folder: Path) -> FolderBlobs:
    return FolderBlobs(folder, Names())


def content_of(size: int) -> bytes:
    return bytes(n % 251 for n in range(size))


async def put(blobs: FolderBlobs, content: bytes, piece: int = 40_000) -> tuple[str, bytes]:
    async with blobs.writer() as writer:
        for start in range(0, len(content), piece):
            await writer.write(content[start : start + piece])
        return await writer.commit()


async def get(blobs: FolderBlobs, name: str, key: bytes) -> bytes:
    return b"".join([piece async for piece in blobs.read(name, key)])


def file_of(folder: Path, name: str) -> Path:
    return folder / name[:2] / name


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_comes_back_as_it_was_written(blobs: FolderBlobs, size: int) -> None:
    name, key = await put(blobs, content_of(size))
    assert await get(blobs, name, key) == content_of(size)


async def test_one_large_piece_is_as_good_as_many(blobs: FolderBlobs) -> None:
    name, key = await put(blobs, content_of(5 * FRAME), piece=10 * FRAME)
    assert await get(blobs, name, key) == content_of(5 * FRAME)


@pytest.mark.parametrize("piece", [997, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 5 * FRAME])
@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_is_the_same_and_known_by_its_digest_however_it_came(
    blobs: FolderBlobs, folder: Path, size: int, piece: int
) -> None:
    content = content_of(size)
    async with blobs.writer() as writer:
        for start in range(0, size, piece):
            await writer.write(content[start : start + piece])
        assert writer.sha256 == hashlib.sha256(content).hexdigest()
        name, key = await writer.commit()
    assert await get(blobs, name, key) == content
    assert file_of(folder, name).stat().st_size == size + 16 * max(1, -(-size // FRAME))


async def test_blobs_U06_what_0_1_wrote_opens(blobs: FolderBlobs, folder: Path) -> None:
    """Seals frames of 64 KiB; the nonce is the frame's number in eleven bytes, and whether it is the last."""
    name, key, content = "a" * 32, b"k" * 32, content_of(2 * FRAME + 7)
    frames = [content[:FRAME], content[FRAME : 2 * FRAME], content[2 * FRAME :]]
    file_of(folder, name).parent.mkdir()
    with file_of(folder, name).open("wb") as file:
        for number, frame in enumerate(frames):
            nonce = number.to_bytes(11, "big") + bytes([number == 2])
            file.write(AESGCM(key).encrypt(nonce, frame, None))
    assert await get(blobs, name, key) == content


async def test_reading_goes_by_pieces_of_bounded_size(blobs: FolderBlobs) -> None:
    name, key = await put(blobs, content_of(3 * FRAME + 7))
    assert [len(piece) async for piece in blobs.read(name, key)] == [FRAME, FRAME, FRAME, 7]


async def test_blobs_U06_nothing_on_disk_is_in_the_clear(blobs: FolderBlobs, folder: Path) -> None:
    await put(blobs, b"canary of a patient" * 10_000)
    assert [b"canary" in path.read_bytes() for path in files_in(folder)] == [False]


async def test_blobs_U06_each_blob_has_a_key_of_its_own(blobs: FolderBlobs) -> None:
    (first, _), (_, second_key) = await put(blobs, b"one"), await put(blobs, b"two")
    with pytest.raises(BlobError):
        await get(blobs, first, second_key)


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
async def test_blobs_U06_a_damaged_blob_is_refused(blobs: FolderBlobs, folder: Path, damage: str) -> None:
    name, key = await put(blobs, content_of(2 * FRAME + 7))
    file = file_of(folder, name)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.raises(BlobError):
        await get(blobs, name, key)


@pytest.mark.parametrize("name", ["f" * 32, "../../etc/passwd", "", "F" * 32, "f" * 32 + "\n"])
async def test_a_missing_or_impossible_name_is_no_blob(blobs: FolderBlobs, name: str) -> None:
    with pytest.raises(BlobError, match="no such blob"):
        await get(blobs, name, b"k" * 32)


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(blobs: FolderBlobs, folder: Path) -> None:
    name, _ = await put(blobs, b"x")
    await blobs.delete(name)
    await blobs.delete(name)
    assert files_in(folder) == []


async def test_without_commit_nothing_stays(blobs: FolderBlobs, folder: Path) -> None:
    async with blobs.writer() as writer:
        await writer.write(content_of(3 * FRAME))
    assert files_in(folder) == []


async def test_a_cancelled_upload_leaves_nothing(blobs: FolderBlobs, folder: Path) -> None:
    under_way = asyncio.Event()

    async def upload() -> None:
        async with blobs.writer() as writer:
            while True:
                await writer.write(content_of(2 * FRAME))
                under_way.set()

    task = asyncio.create_task(upload())
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(folder) == []


def test_a_left_over_that_is_gone_at_the_second_look_stops_nobody(blobs: FolderBlobs, folder: Path) -> None:
    (folder / "tmp" / ("e" * 32)).symlink_to("nowhere")
    FolderBlobs(folder, Names())


async def test_a_new_blob_is_whole_though_another_process_took_its_file_for_a_left_over(
    blobs: FolderBlobs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opens the folder a second time between the making of the file and its lock, as a command does."""
    lock, opened = fcntl.flock, iter([True])

    def flock(file: BinaryIO, kind: int) -> None:
        if kind == fcntl.LOCK_EX and next(opened, False):
            FolderBlobs(folder, Names())
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    name, key = await put(blobs, b"audio")
    assert [piece async for piece in blobs.read(name, key)] == [b"audio"]


async def test_left_overs_of_an_earlier_run_are_removed_at_open(blobs: FolderBlobs, folder: Path) -> None:
    (folder / "tmp" / ("f" * 32)).write_bytes(b"left over")
    FolderBlobs(folder, Names())
    assert files_in(folder) == []


async def test_an_upload_of_a_running_process_survives_that_another_one_opens_the_folder(
    blobs: FolderBlobs, folder: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from proxy.store.blobs.folder import FolderBlobs;"
        " FolderBlobs(Path(sys.argv[1]), str)"
    )
    async with blobs.writer() as writer:
        await writer.write(b"still coming")
        command = [sys.executable, "-c", script, str(folder)]
        await asyncio.to_thread(subprocess.run, command, check=True, cwd=Path(__file__).parents[3])
        name, key = await writer.commit()
    assert await get(blobs, name, key) == b"still coming"


async def test_folders_and_files_are_for_their_owner_only(blobs: FolderBlobs, folder: Path) -> None:
    name, _ = await put(blobs, b"x")
    file = file_of(folder, name)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "tmp", file.parent, file)]
    assert modes == [0o700, 0o700, 0o700, 0o600]


async def test_blobs_are_listed_by_age(blobs: FolderBlobs) -> None:
    name, _ = await put(blobs, b"x")
    assert await blobs.stale(datetime(2999, 1, 1, tzinfo=UTC)) == [name]
    assert await blobs.stale(datetime(1999, 1, 1, tzinfo=UTC)) == []
