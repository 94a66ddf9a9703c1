"""Idle connections: reused for the same caller only, after a complete answer only, and not for long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

import pytest

from proxy.errors import UpstreamError
from proxy.spool import Bytes
from proxy.upstream.call import Budget, Call, OutgoingBody
from proxy.upstream.client import Upstream, open_upstream
from proxy.upstream.http1 import idle, pool
from proxy.upstream.http1.callers import caller_of
from proxy.upstream.legacy.michiq import RawRequest, open_michiq
from tests.flows._client import until
from tests.upstream.test_client import Word
from tests.upstream.wire import Wire, answer, answering, ignore, scripted

LONG: Final = Budget(total=10, connect=10, read=10)
GOOD: Final = answer(b'{"word": "hola"}')
ANA, EVA = b"ana", b"eva"
JSON: Final = "Content-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def long_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps connections from ending by age while a test waits for their end."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 60.0)


def call(caller: bytes | None, method: Literal["GET", "POST"] = "GET") -> Call:
    body = OutgoingBody("text/plain", Bytes(b"hi")) if method == "POST" else None
    return Call(method, "/words", LONG, {}, body=body, caller=caller)


@dataclass
class Kept:
    upstream: Upstream
    wire: Wire

    async def ask(self, *callers: bytes | None, method: Literal["GET", "POST"] = "GET") -> int:
        """Calls for each caller, one after another; returns the number of connections."""
        for caller in callers:
            assert await self.upstream.fetch(call(caller, method), Word) == Word(word="hola")
        return self.wire.connections


@contextlib.asynccontextmanager
async def kept(*answers: bytes) -> AsyncIterator[Kept]:
    async with answering(*(answers or (GOOD,))) as wire, open_upstream("x", wire.url, ignore) as upstream:
        yield Kept(upstream, wire)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_is_used_again_for_its_caller(method: Literal["GET", "POST"]) -> None:
    async with kept() as it:
        assert await it.ask(ANA, ANA, ANA, method=method) == 1
        assert {request.header(b"Connection") for request in it.wire.requests} == {None}


async def test_a_connection_is_never_used_for_another_caller() -> None:
    async with kept() as it:
        assert await it.ask(ANA, EVA, ANA, EVA) == 2


async def test_a_connection_of_nobody_is_not_kept() -> None:
    async with kept() as it:
        assert await it.ask(None, None) == 2
        await it.wire.all_closed()


# Good answers after which nothing more may be said on their connection.
LAST: Final = {
    "its connection closes": answer(
        b'{"word": "hola"}', head="Content-Type: application/json\r\nConnection: close"
    ),
    "a second answer": GOOD + GOOD,
    "a byte too many": GOOD + b"H",
    "HTTP/1.0": GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "two framings": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"word": "hola"}\r\n0\r\n\r\n'
    ),
}


@pytest.mark.parametrize("what", LAST)
async def test_a_connection_ends_after_an_answer_that_did_not_end_exactly(what: str) -> None:
    async with kept(LAST[what]) as it:
        assert await it.ask(ANA, ANA) == 2


@pytest.mark.parametrize("bad", [answer(b"{"), answer(b"", "200 OK", "Content-Type: text/html")])
async def test_a_connection_ends_after_an_answer_that_is_not_what_was_asked_for(bad: bytes) -> None:
    async with kept(bad, GOOD) as it:
        with pytest.raises(UpstreamError, match="x-garbage"):
            await it.ask(ANA)
        assert await it.ask(ANA) == 2


async def test_a_connection_is_kept_after_a_refusal_that_has_come_as_a_whole() -> None:
    async with kept(answer(b"{}", "404 Not Found"), GOOD) as it:
        with pytest.raises(UpstreamError, match="x-404"):
            await it.ask(ANA)
        assert await it.ask(ANA) == 1


@pytest.mark.parametrize(
    "said", [b"H", answer(b'{"word": "of another"}'), b"HTTP/1.1 100 C\r\n\r\n", b"\r\n"]
)
@pytest.mark.parametrize("caller", [ANA, EVA])
async def test_a_late_second_answer_ends_its_connection_and_reaches_nobody(
    said: bytes, caller: bytes
) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while True:
            await wire.read(reader)
            writer.write(GOOD)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        it = Kept(upstream, wire)
        assert await it.ask(ANA) == 1
        writers[0].write(said)
        await until(lambda: not wire.tasks)
        assert await it.ask(caller) == 2


async def test_a_late_second_answer_that_nobody_has_seen_yet_reaches_no_other_caller() -> None:
    """The end comes while the next request is under way, so no check before it could notice."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        writer.write(GOOD)
        await until(lambda: wire.connections == 2)
        writer.write(answer(b'{"word": "of ana"}'))

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        it = Kept(upstream, wire)
        await it.ask(ANA)
        asking = asyncio.create_task(it.ask(EVA))
        await until(lambda: wire.connections == 2)
        assert await asking == 2


@pytest.mark.parametrize(("seconds", "connections"), [(0.0, 2), (4.0, 1)])
async def test_a_connection_that_was_idle_for_too_long_is_not_used(
    seconds: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", seconds)
    async with kept() as it:
        assert await it.ask(ANA, ANA) == connections


@pytest.mark.parametrize(
    ("said", "connections"), [("timeout=0", 2), ("timeout=60, max=9", 1), ("max=9, Timeout = 0", 2), ("x", 1)]
)
async def test_a_connection_is_idle_for_half_of_what_the_upstream_says(said: str, connections: int) -> None:
    async with kept(answer(b'{"word": "hola"}', head=f"{JSON}Keep-Alive: {said}")) as it:
        assert await it.ask(ANA, ANA) == connections


async def test_N17_a_call_that_may_not_be_repeated_takes_only_what_was_used_lately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idle, "SURE_SECONDS", 0.0)
    async with kept() as it:
        assert await it.ask(ANA) == 1
        assert await it.ask(ANA, method="POST") == 2
        assert await it.ask(ANA) == 2


async def test_connections_that_are_idle_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.001)
    async with kept() as it:
        assert await it.ask(ANA, EVA) == 2
        await it.wire.all_closed()


async def test_the_least_recently_used_connection_leaves_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "CONNECTIONS", 2)
    async with kept() as it:
        assert await it.ask(ANA, EVA, ANA, b"third") == 3
        assert await it.ask(ANA) == 3
        assert await it.ask(EVA) == 4


async def test_a_caller_has_as_many_connections_as_are_needed_at_once() -> None:
    async with kept() as it:
        for _ in range(2):
            await asyncio.gather(*(it.ask(ANA) for _ in range(5)))
        assert it.wire.connections == 5


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers once and takes the next request without a word, as a server that was just closing."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(GOOD)
    await reader.readuntil(b"\r\n\r\n")


async def test_a_get_is_sent_again_where_its_idle_connection_was_closed() -> None:
    async with scripted(closing) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert await Kept(upstream, wire).ask(ANA, ANA, ANA) == 3


async def test_N17_a_post_is_never_sent_again() -> None:
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\nhi"))
        writer.write(GOOD)
        got.append(await reader.readuntil(b"\r\n\r\nhi"))

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        it = Kept(upstream, wire)
        await it.ask(ANA, method="POST")
        with pytest.raises(UpstreamError, match="x-cut") as caught:
            await it.ask(ANA, method="POST")
        assert caught.value.may_have_worked
        assert len(got) == 2


async def test_a_request_that_is_passed_on_is_sent_again_where_its_idle_connection_was_closed() -> None:
    async with scripted(closing) as wire, open_michiq(wire.url, ignore) as michiq:
        for _ in range(3):
            request = RawRequest(b"GET", b"/a", (), caller=ANA)
            async with michiq.exchange(request, seconds=5) as answered:
                assert answered.status == 200
                assert b"".join([piece async for piece in answered.chunks()]) == b'{"word": "hola"}'
        assert wire.connections == 3


# Two requests' headers, and whether they are one caller's.
CALLERS: Final = [
    ({"Authorization": "Bearer a"}, {"authorization": "Bearer a", "Accept": "*/*"}, False),
    ({"Authorization": "Bearer a"}, {"Authorization": "Bearer a", "Accept": "*/*"}, True),
    ({"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}, False),
    ({"Authorization": "Bearer a"}, {"Authorization": "Bearer a", "Cookie": "a=b"}, False),
    ({"API_KEY": "a", "user_mail": "b"}, {"API_KEY": "a", "user_mail": "c"}, False),
    ({"API_KEY": "a", "organization": "b"}, {"API_KEY": "a", "organization": "c"}, False),
    ({"API-KEY": "a", "user-mail": "b"}, {"API-KEY": "a", "user-mail": "c"}, False),
    ({"API_KEY": "ab", "user_mail": "c"}, {"API_KEY": "a", "user_mail": "bc"}, False),
]


@pytest.mark.parametrize(("one", "other", "same"), CALLERS)
def test_a_caller_is_all_that_says_who_they_are(
    one: dict[str, str], other: dict[str, str], same: bool
) -> None:
    callers = [caller_of(tuple((k.encode(), v.encode()) for k, v in each.items())) for each in (one, other)]
    assert None not in callers
    assert (callers[0] == callers[1]) is same


def test_a_caller_without_a_name_is_nobody() -> None:
    assert caller_of(((b"Accept", b"*/*"), (b"X-Api-Key-Of", b"a"))) is None
