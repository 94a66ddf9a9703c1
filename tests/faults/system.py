"""The systems behind the proxy as raw servers: what truly arrived is counted, and an answer is bytes."""

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from proxy import jsons
from proxy.values import Json

# The calls that the proxy makes, by what they are for.
Target: TypeAlias = Literal["me", "create", "start", "send", "transcribe", "legacy"]
PLATFORM: Final[tuple[Target, ...]] = ("me", "create")
CHAT: Final[tuple[Target, ...]] = ("start", "send", "transcribe")

_TAG: Final = re.compile(rb"tag-[0-9]+")
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass
class Exchange:
    """One request, as far as it has come, and the connection to answer it on."""

    system: "System"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    target: Target
    user: str
    length: int
    content: bytes = b""

    async def body(self) -> bytes:
        """Returns the whole body. Raises IncompleteReadError if the client gave up."""
        if len(self.content) < self.length:
            self.content += await self.reader.readexactly(self.length - len(self.content))
        self.system.whole[self.target, self.user] += 1
        return self.content

    async def part(self, size: int) -> None:
        """The first bytes of the body, and no more."""
        self.content += await self.reader.readexactly(min(size, self.length))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def good(self) -> bytes:
        """The body of a good answer; with it, what was asked for is done."""
        name = f"{self.target}-{self.system.number()}"
        if self.target == "create":
            self.system.made.setdefault(self.user, []).append(name)
        return self.named(name)

    def named(self, name: str) -> bytes:
        """The body of a good answer, in which something has this id."""
        return jsons.dump(_answers(name, self.content)[self.target])

    def reset(self) -> None:
        """The peer meets a RST, not an orderly end."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


async def plainly(exchange: Exchange) -> None:
    """Answers as it should."""
    await exchange.body()
    await exchange.say(framed(exchange.good()))


def framed(body: bytes, *lines: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole answer."""
    return head(f"Content-Length: {len(body)}", *lines, status=status, kind=kind) + body


def head(*lines: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """The head of an answer, without a length."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *lines, "", ""]).encode("latin-1")


@dataclass
class System:
    """A running server for one upstream; or for any of them, since their paths differ.

    `spoilt` says what becomes of the calls of one target instead of a good answer, `scripts` of several;
    `idle_seconds` after how long without a request a connection is closed, of which its client hears late.
    `arrived` counts the
    requests whose head came, `whole` those whose body was read to its end, by target and user; `made` are
    the cases that exist, by their user.
    """

    port: int = 0
    spoilt: tuple[Target, Script] | None = None
    scripts: dict[Target, Script] = field(default_factory=dict)
    idle_seconds: float | None = None
    arrived: Counter[tuple[Target, str]] = field(default_factory=Counter)
    whole: Counter[tuple[Target, str]] = field(default_factory=Counter)
    made: dict[str, list[str]] = field(default_factory=dict)
    connections: int = 0
    refusing_next: asyncio.Barrier | None = None
    _server: asyncio.Server | None = None
    _numbers: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _idle: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, limit=1024 * 1024, backlog=256
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def deafen(self) -> None:
        """Refuses new connections from now on; open ones go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def hang_up(self) -> None:
        """Ends every connection that stands."""
        await self._end(self._tasks)

    async def hang_up_idle(self) -> None:
        """Ends every connection on which nothing is asked, such as one that was opened ahead."""
        await self._end(self._idle)

    async def _end(self, which: set[asyncio.Task[None]]) -> None:
        tasks = list(which)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            whole = True
            while whole:
                self._idle.add(task)
                exchange = await self._asked(reader, writer)
                self._idle.discard(task)
                await self._answer(exchange)
                whole = len(exchange.content) == exchange.length
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, RuntimeError):
            pass  # the client is gone, or the test is over
        finally:
            self._tasks.discard(task)
            self._idle.discard(task)
            writer.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
        loop = asyncio.get_running_loop()
        began = loop.time()
        raw = await reader.readuntil(b"\r\n\r\n")
        if self.idle_seconds is not None and loop.time() - began > self.idle_seconds:
            raise ConnectionAbortedError  # closed long ago: only the word of it was still on its way
        line, *lines = raw.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        exchange = Exchange(
            self,
            reader,
            writer,
            _target(line.split(" ")[1]),
            headers.get("x-user-email", ""),
            int(headers.get("content-length", "0")),
        )
        self.arrived[exchange.target, exchange.user] += 1
        return exchange

    async def _answer(self, exchange: Exchange) -> None:
        if self.spoilt is not None and self.spoilt[0] == exchange.target:
            await self.spoilt[1](exchange)
        elif exchange.target in self.scripts:
            await self.scripts[exchange.target](exchange)
        elif self.refusing_next is not None and exchange.target == "me":
            await self._last_words(exchange, self.refusing_next)
        else:
            await plainly(exchange)

    async def _last_words(self, exchange: Exchange, all_of_them: asyncio.Barrier) -> None:
        """The users are known still, and then nobody listens any more."""
        await exchange.body()
        await all_of_them.wait()
        self.deafen()
        await self.hang_up_idle()
        await exchange.say(framed(exchange.good(), "Connection: close"))
        raise ConnectionAbortedError


def _answers(name: str, content: bytes) -> dict[Target, Json]:
    """Returns the content of a good answer; from LlamaChat's, the question can be recognized."""
    tags = _TAG.findall(content)
    tag = tags[-1].decode() if tags else "no-tag"
    now = datetime.now(UTC).isoformat()
    return {
        "me": {"user": {"accessToken": name, "id": "u", "organization": {"id": "o", "name": "n"}}},
        "create": {"caseId": name, "patientId": "p", "title": "t", "createdAt": now},
        "start": {"id": name, "title": ""},
        "send": {"role": "assistant", "content": f"Sobre {tag}."},
        "transcribe": {"text": f"Oído en {tag}."},
        "legacy": {"document": name},
    }


def _target(path: str) -> Target:
    if path.endswith("/api/users/me"):
        return "me"
    if path.endswith("/api/cases"):
        return "create"
    if path.endswith("/messages"):
        return "send"
    if path.endswith("/api/conversations"):
        return "start"
    return "transcribe" if path.endswith("/api/transcription") else "legacy"


@asynccontextmanager
async def system() -> AsyncIterator[System]:
    """A server on a free port."""
    running = System()
    await running.listen()
    try:
        yield running
    finally:
        running.deafen()
        await running.hang_up()
