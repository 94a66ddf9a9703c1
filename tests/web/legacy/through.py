"""A client, the pass-through and a legacy server on real sockets, which exchange raw bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from proxy.errors import Refusal
from proxy.server.protocol import QuietRunner
from proxy.upstream.call import CallRecord
from proxy.upstream.legacy.michiq import open_michiq
from proxy.web.exchange import DRAFT, ExchangeDraft
from proxy.web.legacy.passthrough import Passed, Plan, pass_through
from tests.server.quiet_server import QuietTestServer
from tests.upstream.wire import Script, Wire, scripted

SECONDS: Final = 5.0
PLAN: Final = Plan(path="/things/{id}", seconds=SECONDS)
# What the pass-through adds to an answer, to a client that wants no further one.
ADDED: Final = b"X-Request-ID: r-1\r\nVia: 1.1 michiq-proxy\r\n"
LAST: Final = ADDED + b"Connection: close\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
GET: Final = b"GET /things HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"

_STATUSES: Final = {"legacy_unreachable": 502, "legacy_timeout": 504, "malformed": 400, "failed": 500}


@dataclass
class Client:
    """A connection to the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def hears(self, expected: bytes) -> None:
        """Asserts that exactly these bytes come next."""
        async with asyncio.timeout(SECONDS):
            try:
                got = await self.reader.readexactly(len(expected))
            except asyncio.IncompleteReadError as error:
                got = error.partial
        assert got == expected

    async def rest(self) -> bytes:
        """Returns all bytes until the end of the connection. Raises ConnectionError when it is reset."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def heard(self, *pieces: bytes) -> bytes:
        await self.say(*pieces)
        return await self.rest()


@dataclass
class Through:
    """The pass-through in front of `wire`: its results, causes and reports."""

    wire: Wire
    port: int = 0
    passed: list[Passed] = field(default_factory=list)
    causes: list[str | None] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def host(self) -> bytes:
        """Returns the legacy server's own name."""
        return self.wire.url.removeprefix("http://").encode()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()

    async def heard(self, *pieces: bytes) -> bytes:
        """Sends these bytes as a client; returns all bytes until the end of its connection."""
        async with self.client() as client:
            return await client.heard(*pieces)


@asynccontextmanager
async def through(wire: Wire, plan: Plan = PLAN, base: str = "") -> AsyncIterator[Through]:
    """Passes everything to `wire`, below the path `base`; Refusal becomes a status with its cause as text."""
    made = Through(wire)
    async with open_michiq(wire.url + base, made.calls.append) as michiq:

        async def handle(request: web.Request) -> web.StreamResponse:
            draft = request[DRAFT] = ExchangeDraft("r-1", started=0.0)
            try:
                response, passed = await pass_through(request, michiq, plan)
                made.passed.append(passed)
                made.causes.append(draft.cause)
            except Refusal as refusal:
                made.causes.append(refusal.cause)
                return web.Response(status=_STATUSES[refusal.kind], text=refusal.cause)
            finally:
                made.ended.set()
            response.headers["X-Request-ID"] = draft.request_id
            return response

        server = QuietTestServer(_app(handle), lambda app: QuietRunner(app, lambda: "r-2", 0))
        async with server:
            made.port = server.port or 0
            yield made


def _app(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    async def later(_: web.Request) -> None:
        """Sends nothing: the side that answers decides about an expectation."""

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle, expect_handler=later)
    return app


class Legacy:
    """Returns a script that records each request, and answers with the next of `answers`, or the last."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers or (OK,)
        self.got: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.got.append(await request_bytes(reader))
            writer.write(self.answers[min(len(self.got), len(self.answers)) - 1])
            await writer.drain()


@asynccontextmanager
async def passing(script: Script, plan: Plan = PLAN, base: str = "") -> AsyncIterator[Through]:
    """Runs the pass-through in front of a legacy server that follows a script."""
    async with scripted(script) as wire, through(wire, plan, base) as made:
        yield made


async def request_bytes(reader: asyncio.StreamReader) -> bytes:
    """Returns the next raw request: its head, and its body with its framing."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = [line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2]]
    named = dict(fields)
    if b"transfer-encoding" in named:
        return head + await reader.readuntil(b"0\r\n\r\n")
    return head + await reader.readexactly(int(named.get(b"content-length", b"0")))
