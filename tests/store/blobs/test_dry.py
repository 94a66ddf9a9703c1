"""Blobs of a dry run: nothing of them is on disk."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.store.blobs.dry import DryBlobs
from proxy.store.blobs.folder import FolderBlobs
from proxy.store.errors import BlobError

REAL = "f" * 32


@pytest.fixture
def real(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs", lambda: REAL)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_a_dry_blob_is_hashed_and_is_nowhere(real: FolderBlobs, tmp_path: Path) -> None:
    dry = DryBlobs(real)
    async with dry.writer() as writer:
        await writer.write(b"a" * 100_000)
        await writer.write(b"b")
        name, key = await writer.commit()
        assert files(tmp_path) == []
    assert writer.sha256 == hashlib.sha256(b"a" * 100_000 + b"b").hexdigest()
    with pytest.raises(BlobError):
        [piece async for piece in dry.read(name, key)]
    await dry.check()
    assert files(tmp_path) == []


async def test_two_dry_blobs_have_two_names(real: FolderBlobs) -> None:
    dry = DryBlobs(real)
    assert await dry.writer().commit() != await dry.writer().commit()


async def test_a_real_blob_is_read_and_not_deleted(real: FolderBlobs, tmp_path: Path) -> None:
    async with real.writer() as writer:
        await writer.write(b"audio")
        name, key = await writer.commit()
    dry = DryBlobs(real)
    await dry.delete(name)
    assert [piece async for piece in dry.read(name, key)] == [b"audio"]
    assert await dry.stale(datetime(2999, 1, 1, tzinfo=UTC)) == [name]
    async with dry.local([name]) as (path,):
        assert path.parent.parent in dry.local_folders
        assert path.exists()
    assert files(tmp_path) == [name]
