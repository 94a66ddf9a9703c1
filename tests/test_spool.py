"""The spool: what was received is what is read, from memory or from an encrypted file without a name."""

import asyncio
import hashlib
import os
import struct
from collections.abc import Iterator
from functools import cache
from io import SEEK_END
from pathlib import Path

import pytest

from proxy.spool import (
    HEAD,
    HELD_LIMIT,
    MEMORY_LIMIT,
    PIECE,
    Bytes,
    Held,
    MemoryBudget,
    SealedFile,
    Spool,
    Spooled,
    Stored,
)
from proxy.values import Content

SIZES = [0, 1, HEAD + 1, PIECE, MEMORY_LIMIT, MEMORY_LIMIT + 1, 3 * MEMORY_LIMIT + 17]


@cache
def sample(size: int) -> bytes:
    """Bytes of which no two pieces are alike."""
    counts = range(size // 4 + 1)
    return struct.pack(f">{len(counts)}I", *counts)[:size]


def spooled(content: bytes, folder: Path, step: int = 100_000, budget: MemoryBudget | None = None) -> Stored:
    spool = Spool(folder, budget=budget)
    for start in range(0, len(content), step):
        spool.write(content[start : start + step])
    assert spool.size == len(content)
    return spool.finish()


@pytest.fixture(params=SIZES)
def content(request: pytest.FixtureRequest) -> bytes:
    return sample(request.param)


@pytest.fixture(params=[(10, False), (100_000, False), (7_000, True), (300_000, True)])
def stored(request: pytest.FixtureRequest, content: bytes, tmp_path: Path) -> Iterator[Stored]:
    step, has_budget = request.param
    stored = spooled(
        content, tmp_path, max(step, len(content) // 10_000), MemoryBudget() if has_budget else None
    )
    yield stored
    stored.close()


async def pieces(content: Content) -> list[bytes]:
    return [piece async for piece in content.chunks()]


async def test_spool_N10_gives_back_the_same_bytes_in_small_pieces(content: bytes, stored: Stored) -> None:
    read = await pieces(stored)
    assert b"".join(read) == content == stored.read()
    assert all(0 < len(piece) <= PIECE for piece in read)


def test_spool_knows_size_digest_and_head(content: bytes, stored: Stored) -> None:
    assert stored.size == len(content)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert stored.head == content[:HEAD]


async def test_spool_can_be_read_again_and_at_the_same_time(content: bytes, stored: Stored) -> None:
    first, second = await asyncio.gather(pieces(stored), pieces(stored))
    assert b"".join(first) == b"".join(second) == content


def test_spool_its_source_is_the_bytes_or_opens_as_them(content: bytes, stored: Stored) -> None:
    source = stored.source()
    if isinstance(source, bytes):
        assert source == content
    else:
        with source.open() as file:
            assert file.read() == content


@pytest.mark.parametrize("start", [0, 1, 15, 16, 17, PIECE - 1, PIECE, 2 * MEMORY_LIMIT - 3])
def test_spool_its_source_can_be_read_from_any_place(tmp_path: Path, start: int) -> None:
    content = sample(2 * MEMORY_LIMIT)
    stored = spooled(content, tmp_path)
    source = stored.source()
    assert isinstance(source, SealedFile)
    with source.open() as file:
        assert file.seek(start - len(content), SEEK_END) == start
        assert [file.read(5), file.tell()] == [content[start : start + 5], min(start + 5, len(content))]
        file.seek(start)
        assert file.read() == content[start:]
    stored.close()


def test_spool_U06_its_file_holds_nothing_in_clear_and_no_two_are_alike(tmp_path: Path) -> None:
    content = b"Juan Perez, hipertenso. " * 100_000
    raw = []
    for _ in range(2):
        stored = spooled(content, tmp_path)
        source = stored.source()
        assert isinstance(source, SealedFile)
        raw.append(os.pread(source.file.fileno(), 2 * len(content), 0))
        assert stored.read() == content
        stored.close()
    assert [len(each) for each in raw] == [len(content)] * 2
    assert [word for word in (b"Juan", b"Perez", b"tenso") if word in b"".join(raw)] == []
    assert raw[0][:1024] != raw[1][:1024]


def test_spool_G10_a_source_does_not_show_its_key(tmp_path: Path) -> None:
    stored = spooled(sample(MEMORY_LIMIT + 1), tmp_path)
    source = stored.source()
    assert isinstance(source, SealedFile)
    assert "key" not in repr(source)
    assert "file=" not in repr(source)
    stored.close()


def test_spool_up_to_a_megabyte_stays_in_memory(tmp_path: Path) -> None:
    assert isinstance(spooled(sample(MEMORY_LIMIT), tmp_path), Bytes)


def test_spool_beyond_a_megabyte_is_in_a_file_without_a_name(tmp_path: Path) -> None:
    stored = spooled(sample(MEMORY_LIMIT + 1), tmp_path)
    assert isinstance(stored, Spooled)
    assert list(tmp_path.iterdir()) == []
    stored.close()


async def test_spool_a_closed_file_can_not_be_read(tmp_path: Path) -> None:
    stored = spooled(sample(MEMORY_LIMIT + 1), tmp_path)
    stored.close()
    with pytest.raises(ValueError, match="closed file"):
        await pieces(stored)


def test_spool_given_up_before_its_end_closes_its_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(sample(MEMORY_LIMIT + 1))
    spool.close()
    with pytest.raises(ValueError, match="closed file"):
        spool.write(b"more")


def test_spool_G10_shows_nothing_of_its_content(tmp_path: Path) -> None:
    stored = spooled(b"Juan Perez", tmp_path)
    assert "Juan" not in repr(stored)


def in_budget(content: bytes, folder: Path, budget: MemoryBudget) -> tuple[Spool, Stored]:
    spool = Spool(folder, budget=budget)
    spool.write(content)
    return spool, spool.finish()


async def test_spool_with_room_stays_in_memory_and_gives_its_place_back_once(tmp_path: Path) -> None:
    content, budget = sample(3 * MEMORY_LIMIT), MemoryBudget(4 * MEMORY_LIMIT)
    spool, stored = in_budget(content, tmp_path, budget)
    assert isinstance(stored, Held)
    assert budget.left == MEMORY_LIMIT
    for closed in (stored, stored, spool):
        closed.close()
        assert budget.left == 4 * MEMORY_LIMIT
    with pytest.raises(ValueError, match="closed"):
        await pieces(stored)


def test_spool_finds_no_place_in_a_full_room(tmp_path: Path) -> None:
    content, budget = sample(3 * MEMORY_LIMIT), MemoryBudget(4 * MEMORY_LIMIT)
    first, _ = in_budget(content, tmp_path, budget)
    second, stored = in_budget(content, tmp_path, budget)
    assert isinstance(stored, Spooled)
    assert stored.read() == content
    first.close()
    second.close()
    assert budget.left == 4 * MEMORY_LIMIT


def test_spool_too_large_for_memory_leaves_the_room_as_it_goes_to_its_file(tmp_path: Path) -> None:
    budget, content = MemoryBudget(2 * HELD_LIMIT), sample(HELD_LIMIT + 1)
    spool = Spool(tmp_path, budget=budget)
    spool.write(content[:-1])
    assert budget.left == HELD_LIMIT
    spool.write(content[-1:])
    assert budget.left == 2 * HELD_LIMIT
    assert spool.finish().read() == content
    spool.close()


def test_spool_given_up_leaves_the_room(tmp_path: Path) -> None:
    budget = MemoryBudget()
    was = budget.left
    spool = Spool(tmp_path, budget=budget)
    spool.write(sample(2 * MEMORY_LIMIT))
    assert budget.left == was - 2 * MEMORY_LIMIT
    spool.close()
    assert budget.left == was


async def test_spool_U06_in_memory_goes_to_a_sealed_file_for_a_worker(tmp_path: Path) -> None:
    content, budget = b"Juan Perez, hipertenso. " * 100_000, MemoryBudget()
    was = budget.left
    spool, stored = in_budget(content, tmp_path, budget)
    reading = stored.chunks()
    first = await anext(reading)
    source = stored.source()
    assert isinstance(source, SealedFile)
    assert budget.left == was
    assert b"Juan" not in os.pread(source.file.fileno(), len(content), 0)
    with source.open() as file:
        assert file.read() == content
    assert stored.source() == source
    assert [stored.read(), stored.head] == [content, content[:HEAD]]
    assert b"".join(await pieces(stored)) == content
    assert first + b"".join([piece async for piece in reading]) == content
    spool.close()
    with pytest.raises(ValueError, match="closed file"):
        stored.read()
