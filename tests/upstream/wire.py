"""A scripted server on a real socket: each test says in bytes what the upstream does."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

Script: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"


@dataclass(frozen=True)
class Request:
    """A request as raw bytes."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name!r} was sent twice"
        return values[0] if values else None


@dataclass
class Wire:
    """A running server: its address, and the requests that it got."""

    url: str = ""
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    accept: Callable[[], None] = field(default=lambda: None)
    serving: asyncio.Task[None] | None = None

    async def read(self, reader: asyncio.StreamReader) -> Request:
        """Reads the next request and records it; raises IncompleteReadError when there is none."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        headers = [(key, value) for key, value in (item.split(b": ", 1) for item in lines)]
        length = int({key.lower(): value for key, value in headers}.get(b"content-length", b"0"))
        request = Request(line, headers, await reader.readexactly(length))
        self.requests.append(request)
        return request

    async def all_closed(self) -> None:
        """Returns when every connection was closed by the client."""
        if self.tasks:
            _, pending = await asyncio.wait(self.tasks, timeout=5)
            assert not pending, "a connection was left open"


def fixed(size: int) -> bytes:
    """Returns the same bytes each time."""
    return b"\x5a" * size


def ignore(_: object) -> None:
    """Ignores the record of a call."""


def answer(body: bytes, status: str = "200 OK", head: str = "Content-Type: application/json") -> bytes:
    """Returns a complete answer with its length."""
    return f"HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def scripted(script: Script, *, refusing: bool = False) -> AsyncIterator[Wire]:
    """Runs a server with `script` on every connection; a refusing one only after `accept` was called."""
    wire = Wire()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        task = asyncio.current_task()
        assert task is not None
        wire.tasks.add(task)
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test over; streams report a cancelled handler as an error
        finally:
            wire.tasks.discard(task)
            writer.close()

    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    wire.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = await asyncio.start_server(connected, sock=bound, start_serving=False)

    def accept() -> None:
        bound.listen()  # at once; the loop takes the connections up in its next turn
        wire.serving = asyncio.create_task(server.start_serving())

    wire.accept = accept
    if not refusing:
        accept()
    try:
        yield wire
    finally:
        server.close()
        for task in wire.tasks:
            task.cancel()
        await asyncio.gather(*wire.tasks, return_exceptions=True)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[Wire]:
    """Runs a server that reads each request and sends the next of `answers`, the last one again and again.

    Connections are kept open until the client closes them.
    """

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await wire.read(reader)
            writer.write(answers[min(len(wire.requests), len(answers)) - 1])
            await writer.drain()

    async with scripted(script) as wire:
        yield wire


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Reads everything and sends nothing, as a script."""
    while await reader.read(65536):
        pass


class Repeated:
    """A content of `count` times the same 64 KiB (see `values.Content`)."""

    def __init__(self, count: int) -> None:
        self.size = count * 65536
        self._count = count

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(self._count):
            yield bytes(65536)
