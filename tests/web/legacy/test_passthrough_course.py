"""Legacy mode over time: waits, clients that leave, broken connections, and the records of them."""

import asyncio
import gzip
import socket
import struct
import zlib
from dataclasses import replace
from typing import Final

import pytest

from proxy.upstream.call import CallRecord
from proxy.upstream.legacy import wire as upstream_wire
from proxy.web.legacy import transfer
from proxy.web.legacy.passthrough import Passed
from proxy.web.legacy.plan import CAPTURE_LIMIT
from tests.upstream.wire import Script, scripted, silence
from tests.web.legacy.through import ADDED, GET, LAST, OK, PLAN, Legacy, passing, request_bytes, through

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECTING: Final = b"POST /a HTTP/1.1\r\nHost: a.example\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
HEARD_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + ADDED + b"\r\n"


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_a_body_that_is_held_back_is_sent_once_the_legacy_server_wants_it() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-Continue\r\n" in await head_of(reader)
        writer.write(CONTINUE)
        assert await reader.readexactly(2) == b"hi"
        writer.write(CONTINUE + OK)  # another one would only confuse
        await silence(reader, writer)

    async with passing(script) as made, made.client() as client:
        await client.say(EXPECTING)
        await client.hears(CONTINUE)
        await client.say(b"hi")
        await client.hears(HEARD_OK)


async def test_a_legacy_server_that_knows_no_expectations_gets_the_body_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_wire, "EXPECT_SECONDS", 0.01)
    legacy = Legacy()
    async with passing(legacy) as made, made.client() as client:
        await client.say(EXPECTING)
        await client.hears(CONTINUE)
        await client.say(b"hi")
        await client.hears(HEARD_OK)
        assert legacy.got[0].endswith(b"\r\n\r\nhi")


async def test_a_refusal_before_the_body_reaches_a_client_that_never_sends_it() -> None:
    left = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        left.set_result(await reader.read())

    async with passing(script) as made:
        heard = await made.heard(EXPECTING)
        assert heard == b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n" + LAST + b"\r\nno"
        assert await left == b""


async def test_a_body_that_is_held_back_for_nobody_is_sent_for_and_dropped() -> None:
    async with scripted(silence, refusing=True) as wire, through(wire) as made, made.client() as client:
        await client.say(EXPECTING)
        await client.hears(CONTINUE)
        await client.say(b"hi")
        # The connection goes on with the next request.
        assert (await client.heard(GET)).count(b"HTTP/1.1 502 ") == 2


# How the legacy server fails before its answer has begun: what the client is told, and by what cause.
FAILURES: Final[dict[str, tuple["Script | bytes", int, str]]] = {
    "it says nothing": (silence, 504, "legacy-timeout"),
    "it hangs up": (b"", 502, "legacy-cut"),
    "it hangs up within its head": (b"HTTP/1.1 200 OK\r\nContent-", 502, "legacy-cut"),
    "it speaks something else": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 502, "legacy-garbage"),
    "it switches protocols unasked": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 502, "legacy-garbage"),
    "it gives two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        502,
        "legacy-garbage",
    ),
    "its head has no end": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000, 502, "legacy-garbage"),
}


def saying(said: bytes, *, reset: bool = False) -> Script:
    """Reads a request, sends this and closes the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_bytes(reader)
        writer.write(said)
        await writer.drain()
        if reset:
            line = writer.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    return script


@pytest.mark.parametrize("what", FAILURES)
async def test_a_legacy_server_that_fails_before_its_answer_becomes_a_gateway_error(what: str) -> None:
    does, status, cause = FAILURES[what]
    script = saying(does) if isinstance(does, bytes) else does
    async with passing(script, replace(PLAN, seconds=0.2)) as made:
        head, _, body = (await made.heard(GET)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert body == cause.encode()
        assert made.causes == [cause]
        await made.wire.all_closed()


async def test_a_legacy_server_that_is_not_there_becomes_502() -> None:
    async with scripted(silence, refusing=True) as wire, through(wire) as made:
        heard = await made.heard(GET)
        assert heard.startswith(b"HTTP/1.1 502 ")
        assert heard.endswith(b"\r\n\r\nlegacy-refused-connection")


# Answers that end before their end, and whether by a reset.
BROKEN: Final = {
    "short of its length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", False),
    "reset within its length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", True),
    "without a last chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", False),
    "with a broken chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz", False),
    "reset where the connection is the end": (b"HTTP/1.1 200 OK\r\n\r\nab", True),
}


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("what", BROKEN)
async def test_an_answer_that_breaks_off_is_never_a_short_one(what: str, version: bytes) -> None:
    said, reset = BROKEN[what]
    async with passing(saying(said, reset=reset), replace(PLAN, capture=True)) as made:
        with pytest.raises(ConnectionResetError):
            await made.heard(GET.replace(b"HTTP/1.1", b"HTTP/" + version))
        await made.ended.wait()
        assert made.passed == [Passed(200, "", None)]
        assert made.causes in (["legacy-cut"], ["legacy-garbage"])
        assert [call.cause for call in made.calls] == made.causes


class Watched:
    """A script that sends `said` for ever; `over` is set once its client has closed the connection."""

    def __init__(self, begin: bytes, said: bytes) -> None:
        self._begin = begin
        self._said = said
        self.begun = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(self._begin)
        self.begun.set()
        try:
            while self._said:
                writer.write(self._said)
                await writer.drain()
            await silence(reader, writer)
        except ConnectionError:
            pass
        self.over.set()


FOREVER: Final = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 65536

# When a client leaves: what it said, what the legacy server is saying then, and what was heard of it.
LEAVING: Final = {
    "before the answer": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\r\n", b""),
    "within its own body": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi", b"\r\n\r\nhi", b""),
    "within the answer": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\r\n", FOREVER),
}


@pytest.mark.parametrize("when", LEAVING)
async def test_a_client_that_leaves_takes_the_legacy_call_with_it(when: str) -> None:
    said, begin, answer = LEAVING[when]
    legacy = Watched(begin, answer)
    async with passing(legacy, replace(PLAN, seconds=60, capture=True)) as made:
        async with made.client() as client:
            await client.say(said)
            await legacy.begun.wait()
            if answer:
                await client.hears(b"HTTP/1.1 200 OK\r\n")
        async with asyncio.timeout(5):
            await legacy.over.wait()
            await made.ended.wait()
        assert made.causes[0] in ("client-left", "body-cut")
        assert [passed.body for passed in made.passed] == [None] * len(made.passed)


async def test_a_client_that_stops_reading_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TAKING_SECONDS", 0.05)
    legacy = Watched(b"\r\n\r\n", FOREVER)
    async with passing(legacy) as made, made.client() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads as well
        await client.say(GET)
        async with asyncio.timeout(5):
            await legacy.over.wait()
            await made.ended.wait()
        assert made.causes == ["client-stalled"]


async def test_an_answer_that_comes_before_the_end_of_the_body_reaches_the_client() -> None:
    """The legacy server refuses by the head alone and hangs up; the client is still sending."""
    size = 64 * 2**20

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")

    async with passing(script) as made, made.client() as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % size)
        sending = asyncio.create_task(client.say(*([bytes(65536)] * (size // 65536))))
        heard = await client.rest()
        assert heard == b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n" + LAST + b"\r\nbig"
        async with asyncio.timeout(5):
            await sending  # all of it is taken: a reset could cost the client the answer


async def test_an_answer_may_flow_while_the_body_still_does() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for _ in range(2):
            writer.write(await reader.readexactly(2))
        await silence(reader, writer)

    async with passing(script) as made, made.client() as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\n")
        await client.hears(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + LAST + b"\r\n")
        for piece in (b"ab", b"cd"):
            await client.say(piece)
            await client.hears(piece)


async def test_a_second_answer_to_one_request_is_nobody_elses() -> None:
    """Two answers to a GET: the second would be the next client's."""
    theirs = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntheirs"
    async with passing(Legacy(OK + theirs, OK)) as made, made.client() as client:
        for _ in range(2):
            await client.say(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            await client.hears(HEARD_OK)
        assert made.wire.connections == 2


# What three requests bring along, and how many connections to the legacy server they have.
WHOSE: Final = {
    "one caller's": ((b"Authorization: Bearer a\r\n",) * 3, 1),
    "two callers'": ((b"Authorization: Bearer a\r\n", b"Authorization: Bearer b\r\n") * 2, 2),
    "one token's and two cookies'": (
        (b"Authorization: Bearer a\r\nCookie: a=1\r\n", b"Authorization: Bearer a\r\nCookie: a=2\r\n"),
        2,
    ),
    "two users' of one key": ((b"API_KEY: a\r\nuser_mail: a\r\n", b"API_KEY: a\r\nuser_mail: b\r\n"), 2),
    "nobody's": ((b"X-A: b\r\n",) * 3, 3),
}


@pytest.mark.parametrize("whose", WHOSE)
async def test_a_connection_to_the_legacy_server_is_its_callers(whose: str) -> None:
    """The requests come on one connection of the client, as from a front."""
    brought, connections = WHOSE[whose]
    async with passing(Legacy()) as made, made.client() as client:
        for fields in brought:
            await client.say(b"GET / HTTP/1.1\r\nHost: a.example\r\n" + fields + b"\r\n")
            await client.hears(HEARD_OK)
        assert made.wire.connections == connections


async def test_what_was_passed_is_told_and_reported() -> None:
    given = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
    async with passing(Legacy(given), replace(PLAN, capture=True)) as made:
        await made.heard(GET)
        assert made.passed == [Passed(404, "text/plain", b"no")]
        assert made.causes == [None]
        expected = CallRecord("legacy", "GET", "/things/{id}", 404, None, made.calls[0].milliseconds)
        assert made.calls == [expected]


@pytest.mark.parametrize(("size", "kept"), [(CAPTURE_LIMIT, True), (CAPTURE_LIMIT + 1, False)])
async def test_a_captured_body_has_its_limit(size: int, kept: bool) -> None:
    given = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with passing(Legacy(given), replace(PLAN, capture=True)) as made:
        assert (await made.heard(GET)).endswith(bytes(size))
        assert made.passed[0].body == (bytes(size) if kept else None)


# What came under which coding, and what is kept of it.
CODED: Final = {
    "gzip": (gzip.compress(b"text"), "gzip", b"text", None),
    "two": (gzip.compress(zlib.compress(b"text")), "deflate, gzip", b"text", None),
    "a text": (b"text", "gzip", b"text", None),
    "the longest": (gzip.compress(bytes(CAPTURE_LIMIT)), "gzip", bytes(CAPTURE_LIMIT), None),
    "a bomb": (gzip.compress(bytes(50_000_000)), "gzip", None, "too-long"),
    "half of it": (gzip.compress(b"text")[:-1], "gzip", None, "coding"),
    "a coding that nobody knows": (b"\xff\0", "compress", None, "coding"),
}


@pytest.mark.parametrize("what", CODED)
async def test_a_captured_copy_is_without_codings_and_the_client_gets_what_came(what: str) -> None:
    body, coding, kept, unread = CODED[what]
    said = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n"
    async with passing(Legacy(f"{said}\r\n".encode() + body), replace(PLAN, capture=True)) as made:
        assert await made.heard(GET) == said.encode() + LAST + b"\r\n" + body
        assert made.passed == [Passed(200, "", kept, unread)]


async def test_what_is_sent_on_is_kept_piece_by_piece() -> None:
    kept = bytearray()
    async with passing(Legacy(), replace(PLAN, keep=kept.extend)) as made:
        await made.heard(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"2\r\nhi\r\n",
            b"3\r\nyou\r\n0\r\n\r\n",
        )
        assert kept == b"hiyou"


class Rewriter:
    """Records the answer, and replaces it by `new`."""

    def __init__(self, new: bytes | None) -> None:
        self._new = new
        self.shown: list[Passed] = []

    async def __call__(self, passed: Passed) -> bytes | None:
        self.shown.append(passed)
        return self._new


LIMIT: Final = transfer.REWRITE_LIMIT
LONG: Final = bytes(LIMIT + 1)
PACKED: Final = gzip.compress(b"old", mtime=0)
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# What the legacy server says, what it is rewritten to, whether it is shown at all, what the client hears.
REWRITES: Final = {
    "another body in the place of one": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX-A: 1\r\n\r\nold",
        b"newer",
        True,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-A: 1\r\n" + LAST + b"\r\nnewer",
    ),
    "another body in the place of chunks": (
        CHUNKED + b"3\r\nold\r\n0\r\n\r\n",
        b"newer",
        True,
        b"HTTP/1.1 200 OK\r\n" + ADDED + b"Content-Length: 5\r\nConnection: close\r\n\r\nnewer",
    ),
    "no body in the place of one": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold",
        b"",
        True,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + LAST + b"\r\n",
    ),
    "the body is left": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold",
        None,
        True,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + LAST + b"\r\nold",
    ),
    "the longest one": (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LIMIT + bytes(LIMIT),
        b"new",
        True,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + LAST + b"\r\nnew",
    ),
    "one that is too long": (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LONG) + LONG,
        b"new",
        False,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(LONG) + LAST + b"\r\n" + LONG,
    ),
    "another body in the place of a packed one": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nX-A: 1\r\nContent-Length: %d\r\n\r\n%b"
        % (len(PACKED), PACKED),
        b"newer",
        True,
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n" + LAST + b"\r\nnewer",
    ),
    "a packed body is left": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
        None,
        True,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n" % len(PACKED)
        + LAST
        + b"\r\n"
        + PACKED,
    ),
    "no body at all": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
        b"new",
        False,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n" + LAST + b"\r\n",
    ),
}


@pytest.mark.parametrize("what", REWRITES)
async def test_a_short_answer_can_be_rewritten(what: str) -> None:
    given, new, shown, expected = REWRITES[what]
    rewriter = Rewriter(new)
    async with passing(Legacy(given), replace(PLAN, rewrite=rewriter, capture=True)) as made:
        assert await made.heard(GET) == expected
        assert len(rewriter.shown) == shown
        # What was passed is what the legacy server said.
        assert [passed for passed in rewriter.shown if passed not in made.passed] == []


async def test_an_answer_that_breaks_off_while_it_could_be_rewritten_is_a_gateway_error() -> None:
    script = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    rewriter = Rewriter(None)
    async with passing(script, replace(PLAN, rewrite=rewriter)) as made:
        assert (await made.heard(GET)).startswith(b"HTTP/1.1 502 ")
        assert rewriter.shown == []
