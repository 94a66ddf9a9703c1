"""Copies encrypted blobs from one blob store to another one, and compares them; several at a time."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import BigInteger, Connection, func, select, type_coerce

from proxy.store.blobs.protocol import Blobs
from proxy.store.errors import StoreError
from proxy.store.sql.tables import chunks
from proxy.store.upkeep.pages import Key, last_of_page, within

_NAMES: Final = 200
_BYTES: Final = 64 * 1024 * 1024
_AT_ONCE: Final = 8
_SIZE: Final = type_coerce(chunks.c.size, BigInteger)


@dataclass(frozen=True, slots=True)
class BlobPage:
    """The blobs that some rows name, and the key of the last of these rows; sizes are those of contents."""

    names: Sequence[str] = field(repr=False)
    size: int
    last: Key = field(repr=False)


def total(conn: Connection, up_to: Key | None = None) -> tuple[int, int]:
    """Returns how many blobs the rows name, and the size of their contents."""
    query = select(func.count(), func.coalesce(func.sum(chunks.c.size), 0)).select_from(chunks)
    found = conn.execute(query.where(*([] if up_to is None else within(chunks, None, up_to)))).one()
    return int(found[0]), int(found[1])


def next_blobs(conn: Connection, after: Key | None) -> BlobPage | None:
    """Returns the blobs of the rows whose keys come next; None at the end."""
    last = last_of_page(conn, chunks, _SIZE, after, most_rows=_NAMES, most_bytes=_BYTES)
    if last is None:
        return None
    found = conn.execute(select(chunks.c.blob, chunks.c.size).where(*within(chunks, after, last))).all()
    return BlobPage([row.blob for row in found], sum(row.size for row in found), last)


async def copy_blobs(source: Blobs, target: Blobs, names: Sequence[str]) -> None:
    """Copies the blobs that the target lacks, or has in another size. Raises BlobError."""

    async def copy(name: str) -> None:
        size = await source.stored_size(name)
        if size is not None and size != await target.stored_size(name):
            await target.adopt(name, source.sealed(name))

    await _each(names, copy)


async def compare_blobs(source: Blobs, target: Blobs, names: Sequence[str]) -> int:
    """Reads both copies of each blob; returns how many the source itself lacks.

    Raises StoreError at the first difference.
    """
    lacking: list[str] = []

    async def compare(name: str) -> None:
        if await source.stored_size(name) is None:
            lacking.append(name)
            return
        if await target.stored_size(name) is None:
            raise StoreError(f"the blob {name} is missing in the target; run this again")
        digests = await asyncio.gather(_digest(source, name), _digest(target, name))
        if digests[0] != digests[1]:
            raise StoreError(
                f"the blob {name} is not the same in the target; remove it there, and run this again"
            )

    await _each(names, compare)
    return len(lacking)


async def _digest(blobs: Blobs, name: str) -> bytes:
    found = hashlib.sha256()
    async for frame in blobs.sealed(name):
        found.update(frame)
    return found.digest()


async def _each(names: Sequence[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Runs the work for each name, some at a time; its first error ends all."""
    waiting = iter(names)

    async def run() -> None:
        for name in waiting:
            await work(name)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(run())
    except ExceptionGroup as errors:
        failure = errors.exceptions[0]
    else:
        return
    raise failure
