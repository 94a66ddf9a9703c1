"""Tests what only blobs in a folder have: files that are half written, left over, or somebody else's."""

import asyncio
import fcntl
import stat
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from proxy.store.blobs.folder import FolderBlobs

from .conftest import Names, get, put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(folder: Path) -> FolderBlobs:
    return FolderBlobs(folder, Names())


def file_of(folder: Path, name: str) -> Path:
    return folder / name[:2] / name


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


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
