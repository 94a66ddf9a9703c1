"""Blobs of a dry run: nothing of them is stored."""

import hashlib
from datetime import UTC, datetime

import pytest

from proxy.store.blobs.dry import DryBlobs
from proxy.store.errors import BlobError

from .conftest import Shelf, get, put


async def test_a_dry_blob_is_hashed_and_is_nowhere(shelf: Shelf) -> None:
    dry = DryBlobs(shelf.blobs)
    async with dry.writer() as writer:
        await writer.write(b"a" * 100_000)
        await writer.write(b"b")
        name, key = await writer.commit()
        assert await shelf.names() == []
    assert writer.sha256 == hashlib.sha256(b"a" * 100_000 + b"b").hexdigest()
    with pytest.raises(BlobError):
        await get(dry, name, key)
    await dry.check()
    await dry.adopt("a" * 32, dry.sealed("b" * 32))
    assert await shelf.names() == []


async def test_two_dry_blobs_have_two_names(shelf: Shelf) -> None:
    dry = DryBlobs(shelf.blobs)
    assert await dry.writer().commit() != await dry.writer().commit()


async def test_a_real_blob_is_read_and_not_deleted(shelf: Shelf) -> None:
    name, key = await put(shelf.blobs, b"audio")
    dry = DryBlobs(shelf.blobs)
    await dry.delete(name)
    await dry.abort_uploads(datetime(2999, 1, 1, tzinfo=UTC))
    assert await get(dry, name, key) == b"audio"
    assert await dry.stored_size(name) == len(b"audio") + 16
    assert [len(frame) async for frame in dry.sealed(name)] == [len(b"audio") + 16]
    assert await dry.stale(datetime(2999, 1, 1, tzinfo=UTC)) == [name]
    async with dry.local([name]) as (there,), shelf.blobs.local([name]) as (here,):
        assert (there.start, there.size) == (here.start, here.size)
    assert dry.local_folders == shelf.blobs.local_folders
    assert await shelf.names() == [name]
