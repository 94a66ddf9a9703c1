"""The limits of one client, in connections and in time, with a clock that is set by hand."""

import asyncio
import gc
import re
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from typing import Final, cast

import pytest
import uvloop
from aiohttp import web
from aiohttp.http import HttpProcessingError
from structlog.testing import capture_logs

from proxy.errors import Refusal
from proxy.server.limits import PAUSE_SECONDS, Doors, Limits, Ready, Stage, Watch, limits_of
from proxy.server.protocol import QuietHandler, QuietRunner
from proxy.server.receiving import arriving, patience
from proxy.server.request_checks import MAX_HEAD
from proxy.settings import SettingsError, load_settings
from tests.server.quiet_server import QuietTestServer

SECONDS: Final = 10.0
LIMITS: Final = Limits(sweep=0.002)
HOST: Final = b"Host: a.example\r\n"
GET: Final = b"GET /read HTTP/1.1\r\n" + HOST + b"\r\n"
POST: Final = b"POST /read HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\n"
CHUNKS: Final = b"POST /read HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
CANARY: Final = b"canario-4711"
BIG: Final = 32 * 2**20
SMALL: Final = 2**18


# The two loops differ in what they buffer and in how a connection ends. `serve` runs on uvloop.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 1000.0
    asked: int = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


@dataclass
class Client:
    """A connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def hears(self, *endings: bytes) -> bytes:
        """Returns all bytes up to these endings, one after another."""
        async with asyncio.timeout(SECONDS):
            return b"".join([await self.reader.readuntil(ending) for ending in endings])

    async def rest(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()


@dataclass
class Served:
    """A server that answers /read with the number of bytes that came, and waits at /held to be let go."""

    clock: Clock = field(default_factory=Clock)
    port: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[web.Request] = field(default_factory=list)
    runner: QuietRunner | None = None
    pause: float = PAUSE_SECONDS

    @property
    def connections(self) -> list[QuietHandler]:
        assert self.runner
        assert self.runner.server
        return [cast(QuietHandler, each) for each in self.runner.server.connections]

    @asynccontextmanager
    async def client(self, source: str = "127.0.0.1", buffer: int | None = None) -> AsyncIterator[Client]:
        line = socket.socket()
        if buffer:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        line.bind((source, 0))
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=line)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()

    async def passes(self, seconds: float) -> None:
        """Moves the clock, and waits for at least one check of the connections."""
        self.clock.now += seconds
        seen = self.clock.asked
        await self.until(lambda: self.clock.asked > seen + 2 or not self.connections)

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not happened():  # noqa: ASYNC110  the server tells nobody
                await asyncio.sleep(0.001)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/held":
            self.held.append(request)
            await self.free.wait()
        if request.path == "/big":
            return web.Response(body=bytes(BIG))
        if request.path == "/begun":
            return await self.begin(request)
        try:
            size = sum([len(chunk) async for chunk in arriving(request, self.pause)])
        except Refusal as refusal:
            return web.Response(status=400, text=refusal.cause)
        return web.Response(text=f"{size} bytes.")

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Gives what the kernel takes at once, and the end of it when it is let go."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(bytes(SMALL))
        self.held.append(request)
        await self.free.wait()
        return response


@asynccontextmanager
async def serving(limits: Limits = LIMITS) -> AsyncIterator[Served]:
    served = Served()
    app = web.Application()
    for path in ("/read", "/held", "/big", "/begun"):
        app.router.add_route("*", path, served.handle)
    runner = QuietRunner(app, lambda: "r-1", 0, limits=limits, clock=served.clock)
    server = QuietTestServer(app, lambda _: runner)
    async with server:
        served.port, served.runner = server.port or 0, runner
        try:
            yield served
        finally:
            served.free.set()


# Stage of a connection, when its client last sent, took and began, what is left for it; the verdict at 1000.
OVERDUE: Final[dict[str, tuple[Stage, Watch, str | None]]] = {
    "fresh": ("head", Watch(received=990.1, taken=1000, since=990.1), None),
    "silent from the start": ("head", Watch(received=990, taken=1000, since=990), "head"),
    "dripping its head": ("head", Watch(received=999, taken=1000, since=990), "head"),
    "sending a body": ("body", Watch(received=930.1, taken=1000, since=None, until=1000.1), None),
    "silent in its body": ("body", Watch(received=930, taken=1000, since=None, until=2000), "body"),
    "dripping its body": ("body", Watch(received=999, taken=1000, since=None, until=1000), "body"),
    "waiting": ("busy", Watch(received=0, taken=1000, since=None), None),
    "taking its answer": ("busy", Watch(received=0, taken=970.1, since=None, ready=Ready(9, 9)), None),
    "not taking its answer": ("busy", Watch(received=0, taken=970, since=None, ready=Ready(9, 9)), "reader"),
    "not taking the first of it": (
        "busy",
        Watch(received=0, taken=970, since=None, ready=Ready(0, 9)),
        "reader",
    ),
    "all of it on its way": ("idle", Watch(received=930, taken=970, since=None, ready=Ready(0, 9)), None),
    "between two requests": ("idle", Watch(received=930, taken=1000, since=None), None),
    "told that there is no room": ("refused", Watch(received=998.1, taken=1000, since=None), None),
    "told and still there": ("refused", Watch(received=998, taken=1000, since=None), "refused"),
}


@pytest.mark.parametrize("what", OVERDUE)
def test_a_client_has_this_much_time(what: str) -> None:
    stage, watch, why = OVERDUE[what]
    assert watch.overdue(stage, 1000.0, Limits(), crowded=False) == why


def test_between_two_requests_there_is_less_time_where_room_is_scarce() -> None:
    watch = Watch(received=995, taken=1000, since=None)
    assert watch.overdue("idle", 999.9, Limits(), crowded=True) is None
    assert watch.overdue("idle", 1000.0, Limits(), crowded=True) == "idle"


def test_whoever_takes_something_takes_his_time() -> None:
    watch = Watch(received=0, taken=0, since=None)
    for now, left, so_far, taken in [
        (1, 100, 0, 0),
        (2, 100, 0, 0),
        (3, 99, 0, 3),
        (4, 200, 0, 3),
        (5, 199, 0, 5),
        (6, 0, 0, 6),
        (7, 0, 0, 7),
        (8, 100, 50, 8),
        (9, 200, 51, 9),
        (10, 300, 51, 9),
    ]:
        watch.look(Ready(9, left, so_far), now)
        assert watch.taken == taken, now


@pytest.mark.parametrize(
    ("received", "waited", "seconds"),
    [(0, 0, 15), (0, 14.5, 0.5), (1024, 15, 1), (10 * 1024, 10, 15), (10 * 1024, 24, 1), (1, 20, -5)],
)
def test_a_body_must_keep_a_rate_once_it_was_waited_for(received: int, waited: float, seconds: float) -> None:
    assert patience(received, waited, 15) == pytest.approx(seconds, abs=0.01)


async def test_a_connection_that_says_nothing_ends() -> None:
    async with serving() as served, served.client() as client:
        await served.passes(9.9)
        await served.passes(0.1)
        assert await client.rest() == b""


async def test_a_head_that_drips_ends_with_its_deadline() -> None:
    async with serving() as served, served.client() as client:
        for byte in GET[:9]:
            await client.say(bytes([byte]))
            await served.passes(1)
        await served.passes(1)
        assert await client.rest() == b""


async def test_the_head_of_a_later_request_has_a_deadline_too() -> None:
    """aiohttp counts its requests: what comes after a whole one, and makes none, is a head."""
    async with serving() as served, served.client() as client:
        await client.say(GET)
        await client.hears(b"0 bytes.")
        await served.passes(20)
        await client.say(b"GET")
        await served.passes(0)
        await served.passes(10)
        assert await client.rest() == b""


async def test_between_two_requests_nothing_is_a_head() -> None:
    """The end of a body in a segment of its own, and the line break that old clients send after one."""
    async with serving() as served, served.client() as client:
        for _ in range(2):
            await client.say(POST + b"ab")
            await served.passes(1)
            await client.say(b"cd")
            await client.hears(b"4 bytes.")
            await client.say(b"\r\n")
            await served.passes(0)
            await served.passes(20)


async def test_a_body_that_nobody_reads_and_nobody_sends_ends() -> None:
    async with serving() as served, served.client() as client:
        await client.say(POST.replace(b"/read", b"/held"))
        await served.until(lambda: served.held)
        await served.passes(69)
        assert not client.reader.at_eof()
        await served.passes(1)
        assert await client.rest() == b""


async def test_a_body_that_nobody_reads_may_not_drip_either() -> None:
    async with serving() as served, served.client() as client:
        await client.say(POST.replace(b"/read", b"/held").replace(b": 4", b": 40000"))
        await served.until(lambda: served.held)
        # A second's worth at the least rate.
        await client.say(bytes(1024))
        for _ in range(5):
            await client.say(b"x")
            await served.passes(14)
            assert not client.reader.at_eof()
        await client.say(b"x")
        await served.passes(1.1)
        assert await client.rest() == b""


async def test_a_client_that_waits_for_us_has_all_the_time() -> None:
    """A body waits for 100 Continue, or for a reader: aiohttp pauses the connection then."""
    expecting = POST.replace(b"/read", b"/held").replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    held_up = b"POST /held HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % BIG
    async with serving() as served, served.client() as first, served.client() as second:
        await first.say(expecting)
        sending = asyncio.create_task(second.say(held_up, bytes(BIG)))
        await served.until(lambda: any(each._reading_paused for each in served.connections))
        for _ in range(3):
            await served.passes(69)
        served.free.set()
        await first.say(b"abcd")
        await first.hears(b"HTTP/1.1 100 Continue\r\n\r\n", b"4 bytes.")
        await second.hears(b"%d bytes." % BIG)
        await sending


async def test_an_answer_that_nobody_takes_ends_with_a_reset() -> None:
    async with serving() as served, served.client(buffer=4096) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads as well
        await client.say(b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n")
        await served.until(lambda: served.connections[0].writing_paused)
        await served.passes(0)
        (connection,) = served.connections
        for _ in range(9):
            await served.passes(30)
            # The client's kernel may take some more by itself, late on a busy machine: then time begins anew.
            assert not served.connections or connection._watch.taken == served.clock.now
            if not served.connections:
                break
        assert not served.connections
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_an_answer_of_which_nobody_takes_the_beginning_ends_as_well() -> None:
    """The kernel has room for it, and a busy server is slow to make the rest: still nothing is taken."""
    async with serving() as served, served.client(buffer=4096) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads as well
        await client.say(b"GET /begun HTTP/1.1\r\n" + HOST + b"\r\n")
        await served.until(lambda: served.held)
        await served.passes(0)
        (connection,) = served.connections
        assert connection._watch.ready.held == 0
        # As above: the client's kernel may take some more by itself.
        for _ in range(9):
            if not connection.gone.is_set():
                await served.passes(30)
        assert connection.gone.is_set(), "it counts as taking while it takes nothing"
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_a_whole_answer_that_the_kernel_has_is_left_to_it() -> None:
    """A line that is down for a while costs nobody an answer that is made, and the proxy nothing."""
    async with serving() as served, served.client(buffer=4096) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.say(b"GET /begun HTTP/1.1\r\n" + HOST + b"\r\n")
        await served.until(lambda: served.held)
        served.free.set()
        await served.until(lambda: served.connections[0].idle)
        await served.passes(60)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(SECONDS):
            assert await client.reader.readexactly(SMALL)


async def test_what_is_taken_from_the_kernel_is_taken() -> None:
    """Megabytes lie there, and of those that wait behind them none moves for a long time."""
    loop = asyncio.get_running_loop()
    async with serving() as served:
        with closing(socket.socket()) as line:
            line.setblocking(False)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(line, ("127.0.0.1", served.port))
            await loop.sock_sendall(line, b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n")
            await served.until(lambda: served.connections and served.connections[0].writing_paused)
            for _ in range(5):
                await served.passes(10)
                async with asyncio.timeout(SECONDS):
                    taken = 0
                    while taken < 50_000:
                        taken += len(await loop.sock_recv(line, 50_000))
            await served.passes(0)
            assert not served.connections[0].transport.is_closing()  # type: ignore[union-attr]


async def test_an_answer_that_somebody_takes_slowly_reaches_its_end() -> None:
    async with serving() as served, served.client(buffer=4096) as client:
        await client.say(b"GET /big HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        heard = 0
        async with asyncio.timeout(SECONDS):
            while piece := await client.reader.read(2**20):
                heard += len(piece)
                served.clock.now += 10 * len(piece) / 2**20
        assert heard > BIG


async def test_who_has_said_all_and_listens_is_answered() -> None:
    """aiohttp, without the guard, lets the transport close at the end of the input."""
    async with serving() as served, served.client() as client:
        await client.say(GET.replace(b"/read", b"/held"))
        client.writer.write_eof()
        await served.until(lambda: served.held)
        await served.passes(1)
        served.free.set()
        assert (await client.rest()).endswith(b"\r\n\r\n0 bytes.")


async def test_who_has_said_all_is_answered_on_every_request_and_then_let_go() -> None:
    async with serving() as served, served.client() as client:
        await client.say(GET.replace(b"/read", b"/held"), GET, POST, b"abcd")
        client.writer.write_eof()
        await served.until(lambda: served.held)
        served.free.set()
        heard = await client.rest()
        assert re.findall(rb"\d bytes", heard) == [b"0 bytes", b"0 bytes", b"4 bytes"]


@pytest.mark.parametrize("said", [POST + b"ab", CHUNKS], ids=["short of its length", "short of a chunk"])
async def test_a_body_that_ends_too_soon_is_refused_to_who_listens(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as served, served.client() as client:
        await client.say(said)
        await served.until(lambda: served.connections)
        client.writer.write_eof()
        heard = await client.rest()
        assert (heard[:12], heard[-8:]) == (b"HTTP/1.1 400", b"body-cut")
    # aiohttp would wait for the rest of the body, and complain of what it gets.
    assert not caplog.records


async def test_who_has_said_all_counts_as_gone_after_a_while() -> None:
    """The client may have left: that looks the same."""
    async with serving(replace(LIMITS, leaving=0.01)) as served, served.client() as client:
        await client.say(GET.replace(b"/read", b"/held"))
        await served.until(lambda: served.held)
        gone = served.connections[0].gone
        assert not gone.is_set()
        client.writer.write_eof()
        async with asyncio.timeout(SECONDS):
            await gone.wait()


@pytest.mark.parametrize("broken", [b"zz\r\n", b"0\r\n\0\r\n\r\n"], ids=["chunk", "trailer"])
async def test_a_body_that_breaks_later_is_refused_at_once(broken: bytes) -> None:
    """aiohttp queues an error of its own, and leaves the body's reader waiting for more."""
    async with serving() as served, served.client() as client:
        await client.say(CHUNKS.replace(b"/read", b"/held"))
        await served.until(lambda: served.held)
        await client.say(broken)
        served.free.set()
        heard = await client.rest()
        assert (heard[:12], heard[-8:]) == (b"HTTP/1.1 400", b"body-cut")
        assert heard.count(b"HTTP/1.") == 1


async def test_a_connection_beyond_the_room_is_told_so_and_ended() -> None:
    async with serving(replace(LIMITS, connections=2)) as served, served.client() as first:
        await first.say(GET)
        await first.hears(b"0 bytes.")
        async with served.client() as second:
            await second.say(GET)
            await second.hears(b"0 bytes.")
            async with served.client() as third:
                await third.say(GET)
                heard = await third.rest()
                assert heard.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"\r\nRetry-After: 1\r\n" in heard
                assert b"\r\nX-Request-ID: r-1\r\n" in heard
                assert heard.endswith(b"\r\n\r\nServicio no disponible")
                assert b"Server:" not in heard
            # Who was told and stays is ended.
            async with served.client() as fourth:
                await fourth.hears(b"Servicio no disponible")
                await served.passes(2)
                await served.until(lambda: len(served.connections) == 2)
        await served.until(lambda: len(served.connections) == 1)
        async with served.client() as fifth:
            await fifth.say(GET)
            await fifth.hears(b"0 bytes.")


async def test_only_so_many_are_told_that_there_is_no_room() -> None:
    async with serving(replace(LIMITS, connections=0)) as served, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(served.client()) for _ in range(150)]
        heard = [await _all_heard(client) for client in clients]
        told = [each.endswith(b"Servicio no disponible") for each in heard]
        assert (told.count(True), heard.count(b"")) == (100, 50)
        await served.passes(2)
        async with served.client() as later:
            await later.hears(b"Servicio no disponible")


async def _all_heard(client: Client) -> bytes:
    try:
        return await client.rest()
    except ConnectionError:
        return b""


async def test_one_address_has_its_own_room() -> None:
    async with serving(replace(LIMITS, per_address=1)) as served, served.client() as first:
        await first.say(GET)
        await first.hears(b"0 bytes.")
        async with served.client() as second, served.client("127.0.0.2") as other:
            assert (await second.rest()).startswith(b"HTTP/1.1 503 ")
            await other.say(GET)
            await other.hears(b"0 bytes.")


async def test_guards_29_one_client_is_counted_whatever_port_it_came_from() -> None:
    limits = replace(LIMITS, per_address=1, forwarders=(ip_network("127.0.0.0/30"),))
    async with serving(limits) as served, served.client() as first, served.client() as second:
        await first.say(_forwarded(b"/held", b"[2001:db8::1]:4431"))
        await served.until(lambda: served.held)
        await second.say(_forwarded(b"/read", b"[2001:db8::1]:4432"))
        assert (await second.rest()).startswith(b"HTTP/1.1 503 ")
        served.free.set()
        await first.hears(b"0 bytes.")


async def test_behind_a_forwarder_the_requests_of_one_client_are_counted() -> None:
    limits = replace(LIMITS, per_address=1, forwarders=(ip_network("127.0.0.0/30"),))
    async with serving(limits) as served, served.client() as first, served.client() as second:
        await first.say(_forwarded(b"/held", b"192.0.2.1"))
        await served.until(lambda: served.held)
        await second.say(_forwarded(b"/read", b"192.0.2.2"))
        await second.hears(b"0 bytes.")
        await second.say(_forwarded(b"/read", b"192.0.2.1"))
        assert (await second.rest()).startswith(b"HTTP/1.1 503 ")
        served.free.set()
        await first.hears(b"0 bytes.")
        await first.say(_forwarded(b"/read", b"192.0.2.1"))
        await first.hears(b"0 bytes.")


def _forwarded(path: bytes, client: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%bX-Forwarded-For: 198.51.100.7, %b, 127.0.0.1\r\n\r\n" % (path, HOST, client)


# Who asks, what the forwarders on the way wrote down, and who counts.
CLIENTS: Final = [
    ("203.0.113.9", ["192.0.2.1"], "203.0.113.9"),  # not a forwarder of ours: it may say what it likes
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
    ("10.0.0.1", ["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
    ("10.0.0.1", ["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
    ("10.0.0.1", ["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
    ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
    ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", ["nobody"], "10.0.0.1"),
    ("", ["192.0.2.1"], ""),
    # As IIS, Azure and AWS write it, and as RFC 7239 does in its own header.
    *[
        ("10.0.0.1", [written], client)
        for written, client in (
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ('"[2001:db8::1]:443"', "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("1.2.3.4:5678, 10.0.0.2:80", "1.2.3.4"),
            ("1.2.3.4:5678, [::ffff:10.0.0.2]:80", "1.2.3.4"),
            ("unknown", "10.0.0.1"),
            ("_hidden", "10.0.0.1"),
            ("", "10.0.0.1"),
            ("1.2.3.4, unknown, 10.0.0.2", "10.0.0.1"),
            ("1.2.3.4:", "10.0.0.1"),
            ("1.2.3.4:port", "10.0.0.1"),
            ("[1.2.3.4", "10.0.0.1"),
            ("1.2.3.256", "10.0.0.1"),
        )
    ],
]


@pytest.mark.parametrize(("host", "written", "client"), CLIENTS)
def test_the_client_is_who_no_forwarder_of_ours_is(host: str, written: list[str], client: str) -> None:
    assert Doors(Limits(forwarders=(ip_network("10.0.0.0/24"),))).client(host, written) == client


def test_a_request_that_was_refused_gives_nobodys_room_back() -> None:
    doors = Doors(Limits(per_address=1, forwarders=(ip_network("10.0.0.0/24"),)))
    asks = partial(doors.request, "10.0.0.1", ["192.0.2.1"])
    with asks() as first:
        refused = []
        for _ in range(3):
            with asks() as admitted:
                refused.append(admitted)
        assert (first, refused) == (True, [False] * 3)
    with asks() as later:
        assert later, "who has gone gives back what they had"


async def test_a_connection_that_was_refused_gives_nobodys_room_back() -> None:
    async with serving(replace(LIMITS, per_address=1)) as served, served.client() as first:
        await first.say(GET)
        await first.hears(b"0 bytes.")
        for _ in range(3):
            async with served.client() as other:
                assert (await other.rest()).startswith(b"HTTP/1.1 503 ")
            await served.until(lambda: len(served.connections) == 1)


def test_one_client_has_a_whole_network_of_ipv6_and_one_address_of_ipv4() -> None:
    doors = Doors(Limits(per_address=1))
    hosts = [
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::1",
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "192.0.2.2",
        "",
        "",
    ]
    assert [doors.enter(host) for host in hosts] == [True, False, True, True, False, True, True, True]
    doors.leave("2001:db8::1")
    assert doors.enter("2001:db8::2")


def test_an_operator_may_change_the_limits_and_a_forwarder_is_an_address() -> None:
    key = {"MICHIQ_SECRET_KEYS": "k" * 43 + "="}
    assert limits_of(load_settings(key, None)) == Limits()
    own = {
        "MICHIQ_MAX_CONNECTIONS": "10",
        "MICHIQ_MAX_CONNECTIONS_PER_ADDRESS": "2",
        "MICHIQ_FORWARDERS": "10.0.0.0/24, ::1",
    }
    limits = limits_of(load_settings(key | own, None))
    assert (limits.connections, limits.per_address) == (10, 2)
    assert [str(network) for network in limits.forwarders] == ["10.0.0.0/24", "::1/128"]
    for bad in ("nginx", "10.0.0.1/24", "10.0.0.1,,", "10.0.0.0/33"):
        with pytest.raises(SettingsError, match="MICHIQ_FORWARDERS needs IP addresses or networks"):
            load_settings(key | {"MICHIQ_FORWARDERS": bad}, None)


async def test_where_room_is_scarce_nobody_rests_in_it() -> None:
    async with serving(replace(LIMITS, connections=1)) as served, served.client() as client:
        await client.say(GET)
        await client.hears(b"0 bytes.")
        await served.passes(5)
        assert await client.rest() == b""


ODD: Final = {
    "HTTP/0.9": b"GET /read\r\n\r\n",
    "HTTP/0.9, said": GET.replace(b"HTTP/1.1", b"HTTP/0.9"),
    "HTTP/1.2": GET.replace(b"HTTP/1.1", b"HTTP/1.2"),
    "HTTP/2.0": GET.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "RTSP": GET.replace(b"HTTP/1.1", b"RTSP/1.1"),
    "RTSP/1.0, as a POST": POST.replace(b"HTTP/1.1", b"RTSP/1.0"),
    "RTSP in its own method": GET.replace(b"GET", b"SETUP").replace(b"HTTP/1.1", b"RTSP/1.0"),
    "RTSP with a bare line feed": GET.replace(b"HTTP/1.1\r", b"RTSP/1.1"),
    "ICE": GET.replace(b"GET", b"SOURCE").replace(b"HTTP/1.1", b"ICE/1.1"),
    "another protocol": GET.replace(b"HTTP/1.1", b"ICY/1.1"),
    "a protocol in small letters": GET.replace(b"HTTP/1.1", b"rtsp/1.1"),
    "chunks by an underscore": CHUNKS.replace(b"Transfer-", b"Transfer_"),
    "a length by an underscore": POST.replace(b"Content-", b"CONTENT_"),
    "a length by a dot": POST.replace(b"Content-Length", b"content.length"),
    "a hop's field by an underscore": GET[:-2] + b"Proxy_Connection: %b\r\n\r\n" % CANARY,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority form": b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel to a path": GET.replace(b"GET", b"CONNECT"),
    "another scheme": GET.replace(b"/read", b"ftp://a.example/read"),
    "a user in the target": GET.replace(b"/read", b"http://" + CANARY + b"@a.example/read"),
    "a fragment": GET.replace(b"/read", b"/read#" + CANARY),
    "chunks to HTTP/1.0": CHUNKS.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "a line too long": GET[:-2] + b"X: %b\r\n\r\n" % bytes(b"a" * MAX_HEAD),
    "a head too large, at once": GET[:-2] + b"X: %b\r\n" % bytes(b"a" * 8000) * 9 + b"\r\n",
    "a head too large, never whole": GET[:-2] + b"X: %b\r\n" % (CANARY * 500) * 12,
}


@pytest.mark.parametrize("what", ODD)
async def test_what_no_handler_may_see_is_refused_in_the_same_words(what: str) -> None:
    """aiohttp would let all of these pass."""
    with capture_logs() as log:
        async with serving() as served, served.client() as client:
            for start in range(0, len(ODD[what]), MAX_HEAD // 4):
                await client.say(ODD[what][start : start + MAX_HEAD // 4])
            heard = await client.rest()
    assert re.match(rb"HTTP/1\.[01] 400 Bad Request\r\n", heard)
    assert heard.endswith(b"\r\n\r\nSolicitud incorrecta")
    assert b"\r\nX-Request-ID: r-1\r\n" in heard
    assert b"Server:" not in heard
    assert CANARY.decode() not in repr(log) + heard.decode()


# What comes before a request in another protocol, and what it is answered with.
BEFORE: Final = {
    "nothing": (b"", 0),
    "a request": (GET, 1),
    "a body of a length": (POST + b"abcd", 1),
    "a long body": (POST.replace(b": 4", b": 9000") + 9000 * b"a", 1),
    "a body in chunks": (CHUNKS + b"0\r\n\r\n", 1),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_request_in_another_protocol_is_refused_wherever_it_begins(before: str, size: int) -> None:
    said, answers = BEFORE[before]
    said += b"GET /read RTSP/1.1\r\n"
    async with serving() as served, served.client() as client:
        for start in range(0, len(said), size):
            await client.say(said[start : start + size])
            await asyncio.sleep(0)
        heard = await client.rest()
    assert re.findall(rb"HTTP/1.\d (\d+)", heard) == [b"200"] * answers + [b"400"]


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_the_name_of_another_protocol_may_stand_in_a_field_and_in_a_body(size: int) -> None:
    body = b"GET /read RTSP/1.0\r\nCSeq: 1\r\n\r\n and ICE/1.1\r\n"
    head = b"POST /read HTTP/1.1\r\nUser-Agent: x RTSP/1.0\r\n" + HOST
    said = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with serving() as served, served.client() as client:
        for start in range(0, len(said), size):
            await client.say(said[start : start + size])
            await asyncio.sleep(0)
        assert (await client.hears(b"bytes.")).endswith(b"\r\n\r\n%d bytes." % len(body))


async def test_what_could_not_be_read_is_let_go_at_once() -> None:
    """aiohttp's error and the frame that caught it hold each other, and up to a megabyte of what came."""
    async with serving() as served, served.client() as client:
        gc.collect()
        gc.disable()
        try:
            await client.say(b"GET /read HTTP/1.1\r\nX: " + bytes(9000))
            assert (await client.rest()).startswith(b"HTTP/1.0 400 ")
            await served.until(lambda: not served.connections)
            assert [each for each in gc.get_objects() if isinstance(each, HttpProcessingError)] == []
        finally:
            gc.enable()


async def test_who_left_is_gone_for_who_asks_later_too() -> None:
    async with serving() as served:
        async with served.client() as client:
            await client.say(GET)
            await client.hears(b"bytes.")
            (connection,) = served.connections
        await served.until(lambda: not served.connections)
        assert connection.gone.is_set()


async def test_at_rest_a_connection_holds_nothing_for_who_watched_its_client() -> None:
    async with serving() as served, served.client() as client:
        await client.say(GET.replace(b"/read", b"/held"))
        await served.until(lambda: served.held)
        (connection,) = served.connections
        watched = weakref.ref(connection.gone)
        served.free.set()
        await client.hears(b"bytes.")
        gc.collect()
        assert watched() is None


async def test_the_absolute_form_is_as_good_as_the_origin_form() -> None:
    async with serving() as served, served.client() as client:
        await client.say(GET.replace(b"/read", b"HTTPS://other.example:8443/read"))
        await client.hears(b"0 bytes.")


async def test_a_line_may_be_as_long_as_a_head_may_be() -> None:
    """Some clients have tokens and cookies of 20 KB; aiohttp's own limit is 8,190 bytes."""
    async with serving() as served, served.client() as client:
        await client.say(GET[:-2] + b"Authorization: Bearer %b\r\n\r\n" % bytes(b"a" * 60_000))
        await client.hears(b"0 bytes.")


async def test_an_expectation_is_not_quoted_where_there_is_no_route() -> None:
    """aiohttp answers it with its own words, before any middleware."""
    async with serving() as served, served.client() as client:
        await client.say(b"GET /nothing HTTP/1.1\r\n" + HOST + b"Expect: " + CANARY + b"\r\n\r\n")
        heard = await client.rest()
        assert heard.startswith(b"HTTP/1.1 417 ")
        assert CANARY not in heard
        assert b"Server:" not in heard


async def test_a_body_that_drips_is_given_up() -> None:
    """Each byte comes in time, but all of them too slowly."""
    async with serving() as served, served.client() as client:
        served.pause = 0.3
        await client.say(b"POST /read HTTP/1.1\r\n" + HOST + b"Content-Length: 9999\r\n\r\n")
        hearing = asyncio.create_task(client.hears(b"\r\n\r\n", b"body-stalled"))
        async with asyncio.timeout(SECONDS):
            while not hearing.done():
                await client.say(b"x")
                await asyncio.wait({hearing}, timeout=0.05)
        assert hearing.result().startswith(b"HTTP/1.1 400 ")


async def test_the_end_of_a_connection_is_counted_in_the_log_and_of_whom_is_not_said() -> None:
    with capture_logs() as log:
        async with serving() as served, served.client() as first, served.client() as second:
            await served.passes(10)
            await asyncio.gather(first.rest(), second.rest())
    told = [event for event in log if event["event"] == "connections_ended"]
    assert sum(event["head"] for event in told) == 2
    assert "127.0.0.1" not in repr(told)
