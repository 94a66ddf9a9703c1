"""Legacy mode with large bodies: a slow side delays the other one, and no bytes pile up in between."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Final

import pytest

from tests.web.legacy.through import ADDED, OK, passing

PIECE: Final = bytes(range(256)) * 256
COUNT: Final = 1600
SIZE: Final = COUNT * len(PIECE)  # 100 MB
DIGEST: Final = sha256(PIECE * COUNT).hexdigest()
BOUND: Final = 4 * 2**20


@contextmanager
def measured() -> Iterator[Callable[[], int]]:
    """Yields a function: Python's peak memory since the block's beginning, above the memory at that time."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class Source:
    """Writes all pieces as fast as the peer reads them."""

    def __init__(self) -> None:
        self.sent = 0

    async def pour(self, writer: asyncio.StreamWriter) -> None:
        for _ in range(COUNT):
            writer.write(PIECE)
            await writer.drain()
            self.sent += len(PIECE)

    async def stuck(self) -> None:
        """Returns when the peer reads no more; an early return, on a slow machine, does no harm."""
        seen = -1
        while seen != self.sent:
            seen = self.sent
            await asyncio.sleep(0.1)


async def drunk(reader: asyncio.StreamReader) -> str:
    """Reads the whole body, and returns its digest."""
    digest, left = sha256(), SIZE
    while left and (piece := await reader.read(65536)):
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


async def test_100_MB_go_up_at_constant_memory() -> None:
    source, thirst = Source(), asyncio.Event()
    got = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await thirst.wait()
        got.set_result(await drunk(reader))
        writer.write(OK)

    async with passing(script) as made, made.client() as client:
        with measured() as peak:
            await client.say(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
            pouring = asyncio.create_task(source.pour(client.writer))
            await source.stuck()
            assert source.sent < SIZE / 2
            thirst.set()
            assert await got == DIGEST
            await pouring
            await client.hears(b"HTTP/1.1 200 OK\r\n")
            assert peak() < BOUND


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_100_MB_come_down_at_constant_memory(framing: str) -> None:
    source = Source()
    chunked = framing == "chunks"
    head = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % SIZE

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (b"%x\r\n" % SIZE if chunked else b""))
        await source.pour(writer)
        writer.write(b"\r\n0\r\n\r\n" if chunked else b"")

    async with passing(script) as made, made.client() as client:
        with measured() as peak:
            await client.say(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            await source.stuck()
            assert source.sent < SIZE / 2
            if chunked:
                await client.hears(b"HTTP/1.1 200 OK\r\n" + ADDED + head + b"\r\n")
                digest = sha256()
                async for piece in dechunked(client.reader):
                    digest.update(piece)
                assert digest.hexdigest() == DIGEST
            else:
                await client.hears(b"HTTP/1.1 200 OK\r\n" + head + ADDED + b"\r\n")
                assert await drunk(client.reader) == DIGEST
            assert peak() < BOUND


async def dechunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
