"""The client of one upstream: every way an answer can go wrong, on real sockets."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel

from proxy.errors import UpstreamError
from proxy.spool import Bytes
from proxy.upstream.answer import MAX_ANSWER
from proxy.upstream.call import Budget, Call, CallRecord, OutgoingBody
from proxy.upstream.client import Upstream, open_upstream
from proxy.upstream.http1 import pool
from tests.flows._client import until
from tests.upstream.wire import Repeated, Script, answer, answering, ignore, scripted, silence

PATIENT = "juan-perez"  # must be in no error and no record
KEY = "key-5e5e"

SOCKETS = Path("/proc/self/fd")
LONG = Budget(total=10, connect=10, read=10)
GOOD = answer(b'{"word": "hola"}')


class Word(BaseModel):
    word: str


@dataclass(frozen=True)
class Outcome:
    """A table row's expectation of a failed call."""

    kind: str
    cause: str
    arrived: bool


def post(budget: Budget = LONG, body: OutgoingBody | None = None) -> Call:
    body = body or OutgoingBody("text/plain", Bytes(PATIENT.encode()))
    return Call("POST", "/words", budget, {"X-Api-Key": KEY}, body=body)


GET = Call("GET", "/words", LONG, {"X-Api-Key": KEY})


async def failure(upstream: Upstream, call: Call) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await upstream.fetch(call, Word)
    return caught.value


def sockets() -> int:
    return sum(str(link.readlink()).startswith("socket:") for link in SOCKETS.iterdir() if link.is_symlink())


def outcome(error: UpstreamError) -> Outcome:
    return Outcome(error.kind, error.cause, error.arrived)


def failed(cause: str) -> Outcome:
    return Outcome("upstream_failed", f"x-{cause}", arrived=True)


def coded(body: bytes, coding: str) -> bytes:
    return answer(body, head=f"Content-Type: application/json\r\nContent-Encoding: {coding}")


# What means the same, however it was written.
ODD_ANSWERS = {
    "half an emoji": (answer(rb'{"word": "hola \ud83d"}'), "hola \ufffd"),
    "gzip": (coded(gzip.compress(b'{"word": "hola"}'), "gzip"), "hola"),
    "deflate": (coded(zlib.compress(b'{"word": "hola"}'), "Deflate"), "hola"),
    "gzip said to be in two fields": (coded(gzip.compress(b'{"word": "hola"}'), "identity, X-GZIP"), "hola"),
    "a text said to be gzip": (coded(b'{"word": "hola"}', "gzip"), "hola"),
    "a charset said to be a coding": (coded(b'{"word": "hola"}', "utf-8"), "hola"),
    "half an emoji beside it": (answer(rb'{"word": "hola", "\ude00": ["\ud83d"]}'), "hola"),
}

BIG = b'{"word": "%b"}' % (b"a" * MAX_ANSWER)
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

STATUSES = {
    "300 Multiple Choices": ("upstream_refused", "redirect"),
    "304 Not Modified": ("upstream_refused", "redirect"),
    "400 Bad Request": ("upstream_refused", "400"),
    "401 Unauthorized": ("upstream_unauthorized", "401"),
    "402 Payment Required": ("upstream_no_credits", "402"),
    "403 Forbidden": ("upstream_unauthorized", "403"),
    "404 Not Found": ("upstream_refused", "404"),
    "409 Conflict": ("upstream_refused", "409"),
    "422 Unprocessable Content": ("upstream_refused", "422"),
    "429 Too Many Requests": ("upstream_busy", "429"),
    "500 Internal Server Error": ("upstream_failed", "500"),
    "502 Bad Gateway": ("upstream_failed", "502"),
    "503 Service Unavailable": ("upstream_failed", "503"),
    "600 What": ("upstream_failed", "600"),
}

# What a server says instead of an answer, on a connection that it keeps open.
WRONG_ANSWERS = {
    "another content type": (answer(b'{"word": "hola"}', head="Content-Type: text/html"), "garbage"),
    "no content type": (answer(b'{"word": "hola"}', head="X-A: b"), "garbage"),
    "a malformed content type": (answer(b'{"word": "hola"}', head="Content-Type: json"), "garbage"),
    "half of a gzip": (coded(gzip.compress(b'{"word": "hola"}')[:-1], "gzip"), "garbage"),
    "a coding that nobody knows": (coded(gzip.compress(b'{"word": "hola"}'), "compress"), "garbage"),
    "ten codings": (coded(b'{"word": "hola"}', ", ".join(["gzip"] * 10)), "garbage"),
    "gzip that is none": (coded(b"\xff" * 99, "gzip"), "garbage"),
    "a gzip bomb": (coded(gzip.compress(b" " * 50_000_000), "gzip"), "oversized"),
    "a deflate bomb": (coded(zlib.compress(b" " * 50_000_000), "deflate"), "oversized"),
    "an empty body": (answer(b""), "garbage"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "garbage"),
    "invalid JSON": (answer(b'{"word": '), "garbage"),
    "two JSON values": (answer(b'{"word": "a"}{"word": "b"}'), "garbage"),
    "NaN": (answer(b'{"word": NaN}'), "garbage"),
    "a NUL in the body": (answer(b'{"word": "\x00"}'), "garbage"),
    "a NUL in a header": (answer(b'{"word": "a"}', head="Content-Type: application/json\x00"), "garbage"),
    "Latin-1": (answer('{"word": "clínica"}'.encode("latin-1")), "garbage"),
    "another shape": (answer(b'{"words": []}'), "garbage"),
    "a number for a string": (answer(b'{"word": 1}'), "garbage"),
    "an array": (answer(b"[]"), "garbage"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "garbage"),
    "a header above the limit": (answer(b"{}", head="X-Long: " + "a" * 70_000), "garbage"),
    "a broken chunk": (CHUNKED + b"zz\r\n", "garbage"),
    "an upgrade": (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "101"),
    "a declared length above the cap": (answer(BIG), "oversized"),
    "a body above the cap": (CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BIG), BIG), "oversized"),
}

# What a server sends before it hangs up.
CUTS = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "a head without its body": JSON_HEAD + b"Content-Length: 16\r\n\r\n",
    "half a body": JSON_HEAD + b'Content-Length: 16\r\n\r\n{"word": ',
    "a chunk without an end": CHUNKED + b'10\r\n{"word": "hola"}\r\n',
}


def hanging_up(sent: bytes, *, read_first: bool, reset: bool) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if read_first:
            await reader.readuntil(PATIENT.encode())
        writer.write(sent)
        await writer.drain()
        if reset:
            writer.transport.abort()

    return script


@pytest.mark.parametrize("what", ODD_ANSWERS)
async def test_client_X03_an_answer_that_is_written_oddly_is_read(what: str) -> None:
    said, word = ODD_ANSWERS[what]
    async with answering(said) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert (await upstream.fetch(GET, Word)).word == word


@pytest.mark.parametrize("status", STATUSES)
async def test_client_G08_a_status_other_than_2xx_is_an_error_of_its_kind(status: str) -> None:
    kind, cause = STATUSES[status]
    async with answering(answer(b"", status)) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post())
        assert outcome(error) == Outcome(kind, f"x-{cause}", arrived=True)
        assert error.status == int(status[:3])


@pytest.mark.parametrize("what", WRONG_ANSWERS)
async def test_client_X03_an_answer_that_is_not_the_expected_json_is_a_failure(what: str) -> None:
    sent, cause = WRONG_ANSWERS[what]
    async with answering(sent) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert outcome(await failure(upstream, post())) == failed(cause)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", CUTS)
async def test_client_X03_an_answer_that_ends_early_is_a_failure_and_is_asked_for_once(
    sent: str, reset: bool
) -> None:
    script = hanging_up(CUTS[sent], read_first=True, reset=reset)
    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert outcome(await failure(upstream, post())) == failed("cut")
        assert wire.connections == 1


async def test_client_G08_a_connection_reset_before_the_body_was_read_may_have_arrived() -> None:
    script = hanging_up(b"", read_first=False, reset=True)
    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post(body=OutgoingBody("text/plain", Repeated(64))))
        assert outcome(error) == failed("cut")
        assert wire.connections == 1


async def test_client_G08_a_refused_connection_is_a_failure_in_which_nothing_arrived() -> None:
    async with scripted(silence) as wire:
        url = wire.url
    async with open_upstream("x", url, ignore) as upstream:
        error = await failure(upstream, post())
        assert outcome(error) == Outcome("upstream_failed", "x-unreachable", arrived=False)


async def test_client_G08_a_failed_tls_handshake_is_a_failure_in_which_nothing_arrived() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no TLS here")

    async with scripted(plain) as wire:
        url = wire.url.replace("http:", "https:")
        async with open_upstream("x", url, ignore) as upstream:
            error = await failure(upstream, post())
            assert outcome(error) == Outcome("upstream_failed", "x-tls", arrived=False)


async def test_client_G08_a_connection_that_does_not_come_about_is_a_timeout_in_which_nothing_arrived() -> (
    None
):
    async with scripted(silence) as wire:
        url = wire.url.replace("http:", "https:")
        async with open_upstream("x", url, ignore) as upstream:
            error = await failure(upstream, post(Budget(total=10, connect=0.05, read=10)))
            assert outcome(error) == Outcome("upstream_timeout", "x-timeout", arrived=False)


@pytest.mark.parametrize(
    "budget", [Budget(total=0.05, connect=10, read=10), Budget(total=10, connect=10, read=0.05)]
)
async def test_client_G08_no_answer_within_the_budget_is_a_timeout_that_may_have_arrived(
    budget: Budget,
) -> None:
    async with scripted(silence) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post(budget))
        assert outcome(error) == Outcome("upstream_timeout", "x-timeout", arrived=True)
        await wire.all_closed()


async def test_client_G08_a_body_that_stops_coming_is_a_timeout() -> None:
    half = JSON_HEAD + b'Content-Length: 16\r\n\r\n{"word": '
    async with answering(half) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post(Budget(total=10, connect=10, read=0.05)))
        assert outcome(error) == Outcome("upstream_timeout", "x-timeout", arrived=True)


@pytest.mark.skipif(not SOCKETS.exists(), reason="counts this process's sockets in /proc")
async def test_client_gives_up_at_once_on_a_peer_that_reads_nothing() -> None:
    """Bytes that are still buffered for the peer are dropped: no socket stays open until it reads them."""

    async def script(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with scripted(script) as wire:
        before = sockets()
        async with open_upstream("x", wire.url, ignore) as upstream:
            body = OutgoingBody("text/plain", Repeated(320))
            error = await failure(upstream, post(Budget(total=0.1, connect=10, read=10), body))
            assert error.kind == "upstream_timeout"
        assert sockets() == before + 1  # the peer's own end


async def test_client_hears_a_refusal_that_comes_before_its_body_was_read() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"", "402 Payment Required"))
        await silence(reader, writer)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post(body=OutgoingBody("text/plain", Repeated(320))))
        assert outcome(error) == Outcome("upstream_no_credits", "x-402", arrived=True)
        await wire.all_closed()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_client_X03_a_redirect_is_never_followed(status: int) -> None:
    async with answering(GOOD) as other:
        moved = answer(b"", f"{status} Moved", head=f"Location: {other.url}/words")
        async with answering(moved) as wire, open_upstream("x", wire.url, ignore) as upstream:
            error = await failure(upstream, post())
        assert outcome(error) == Outcome("upstream_refused", "x-redirect", arrived=True)
        assert other.connections == 0


async def test_client_X03_no_cookie_is_kept() -> None:
    baked = answer(b'{"word": "a"}', head="Content-Type: application/json\r\nSet-Cookie: a=b; Path=/")
    async with answering(baked) as wire, open_upstream("x", wire.url, ignore) as upstream:
        await upstream.fetch(GET, Word)
        await upstream.fetch(GET, Word)
        assert wire.requests[1].header(b"Cookie") is None


async def test_client_X03_proxies_of_the_environment_are_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(GOOD) as wire, answering(GOOD) as other:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with open_upstream("x", wire.url, ignore) as upstream:
            await upstream.fetch(GET, Word)
        assert (wire.connections, other.connections) == (1, 0)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2Fb", "a?b", "a#b", "", "a\x00", "a\n", "ñ", "a" * 65])
async def test_client_G03_an_id_of_other_characters_never_reaches_a_url(name: str) -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, Call("GET", "/words/{id}", LONG, {}, id=name))
        assert outcome(error) == Outcome("upstream_failed", "x-unsendable", arrived=False)
        assert wire.connections == 0


@pytest.mark.parametrize("base", ["", "/", "/pre", "/pre/"])
async def test_client_calls_below_the_path_of_its_base_address(base: str) -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url + base, ignore) as upstream:
        await upstream.fetch(Call("GET", "/words/{id}", LONG, {}, id="a-B_9"), Word)
        assert wire.requests[0].line == f"GET {base.rstrip('/')}/words/a-B_9 HTTP/1.1".encode()


async def test_client_N06_a_header_value_goes_out_as_its_utf8_bytes() -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore) as upstream:
        await upstream.fetch(Call("GET", "/words", LONG, {"X-ORGANIZATION": "Clínica"}), Word)
        assert wire.requests[0].header(b"X-ORGANIZATION") == b"Cl\xc3\xadnica"


async def test_client_takes_a_header_line_of_60_KB() -> None:
    long = answer(b'{"word": "hola"}', head=f"Content-Type: application/json\r\nX-Long: {'a' * 60_000}")
    async with answering(long) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert (await upstream.fetch(GET, Word)).word == "hola"


async def test_client_asks_for_an_answer_that_is_not_compressed() -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore) as upstream:
        await upstream.fetch(GET, Word)
        assert wire.requests[0].header(b"Accept-Encoding") == b"identity"


async def test_client_sends_a_body_with_its_length_and_type() -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore) as upstream:
        await upstream.fetch(post(body=OutgoingBody("text/x", Bytes(b"abc"))), Word)
        request = wire.requests[0]
        assert request.body == b"abc"
        assert request.header(b"Content-Length") == b"3"
        assert request.header(b"Content-Type") == b"text/x"
        assert request.header(b"Transfer-Encoding") is None


@pytest.mark.parametrize("call", [GET, post()], ids=["GET", "POST"])
async def test_client_gives_every_call_a_connection_of_its_own_and_says_so(call: Call) -> None:
    async with answering(GOOD) as wire, open_upstream("x", wire.url, ignore) as upstream:
        for number in (1, 2, 3):
            await upstream.fetch(call, Word)
            assert wire.connections == number
        await wire.all_closed()
        assert {request.header(b"Connection") for request in wire.requests} == {b"close"}


@pytest.mark.parametrize("what", [*STATUSES, *WRONG_ANSWERS])
async def test_client_never_reuses_a_connection_after_a_bad_answer(what: str) -> None:
    bad = answer(b"", what) if what in STATUSES else WRONG_ANSWERS[what][0]
    async with answering(bad, GOOD) as wire, open_upstream("x", wire.url, ignore) as upstream:
        await failure(upstream, post())
        assert await upstream.fetch(post(), Word) == Word(word="hola")
        assert wire.connections == 2


async def test_client_never_reuses_a_connection_after_more_than_one_answer() -> None:
    async with answering(GOOD + answer(b'{"word": "other"}')) as wire:
        async with open_upstream("x", wire.url, ignore) as upstream:
            await upstream.fetch(post(), Word)
            assert await upstream.fetch(post(), Word) == Word(word="hola")
        assert wire.connections == 2


@pytest.mark.parametrize("call", [GET, post()], ids=["GET", "POST"])
async def test_client_a_late_second_answer_never_reaches_the_next_user(call: Call) -> None:
    late: list[asyncio.StreamWriter] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await wire.read(reader)
            writer.write(GOOD)
            late.append(writer)

    async with (
        scripted(script) as wire,
        answering(GOOD) as other,
        open_upstream("x", wire.url, ignore) as upstream,
        open_upstream("y", other.url, ignore) as y,
    ):
        await upstream.fetch(call, Word)
        late[0].write(answer(b'{"word": "of another patient"}'))
        await y.fetch(GET, Word)  # a round trip on the same loop: by its end the late one has come
        assert await upstream.fetch(call, Word) == Word(word="hola")
        assert (wire.connections, len(wire.requests)) == (2, 2)


async def test_client_G08_a_server_that_speaks_first_is_a_failure() -> None:
    """An SSH server on a mistaken port answers like this."""
    late: list[asyncio.StreamWriter] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        late.append(writer)
        await silence(reader, writer)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert (await failure(upstream, post())).kind == "upstream_failed"
        await wire.all_closed()
        assert wire.connections == 1


@pytest.mark.parametrize("count", [-1, 1])
async def test_client_a_content_of_another_length_than_announced_ends_the_connection(count: int) -> None:
    """An upstream would otherwise take the next user's request for the rest of this body."""

    class Lying(Bytes):
        @property
        def size(self) -> int:
            return super().size + count

    async with scripted(silence) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post(body=OutgoingBody("text/plain", Lying(b"abcdef"))))
        assert outcome(error) == failed("cut")
        await wire.all_closed()


async def test_client_N17_a_content_that_fails_while_it_is_sent_ends_the_call_without_a_second_try() -> None:
    class Broken:
        size = 99

        async def chunks(self) -> AsyncIterator[bytes]:
            yield PATIENT.encode()
            raise OSError(5, PATIENT)

    async with scripted(silence) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post(body=OutgoingBody("text/plain", Broken())))
        assert outcome(error) == failed("cut")
        await until(lambda: wire.connections == 1)


async def test_client_G08_more_calls_than_connections_are_busy_and_nothing_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "CONNECTIONS", 1)
    monkeypatch.setattr(pool, "POOL_WAIT_SECONDS", 0.01)
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        asked.set()
        await silence(reader, writer)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        first = asyncio.create_task(upstream.fetch(post(), Word))
        await asked.wait()
        error = await failure(upstream, post())
        first.cancel()
        assert outcome(error) == Outcome("upstream_busy", "x-busy", arrived=False)
        assert len(wire.requests) == 1


async def test_client_more_calls_than_connections_wait_for_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "CONNECTIONS", 2)
    at_once: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        at_once.append(len(wire.tasks))
        writer.write(GOOD)

    async with scripted(script) as wire, open_upstream("x", wire.url, ignore) as upstream:
        words = await asyncio.gather(*(upstream.fetch(post(), Word) for _ in range(20)))
        assert len(words) == 20
        assert max(at_once) <= 2


@pytest.mark.parametrize(
    "sent",
    [
        GOOD,
        answer(json.dumps({"word": PATIENT + "a"}).encode(), head="Content-Type: application/problem+json"),
        answer(b'\xef\xbb\xbf{"word": "a", "more": 1}', head="Content-Type: application/json; charset=utf-8"),
        CHUNKED + b'5\r\n{"wor\r\n9\r\nd": "hola\r\n2\r\n"}\r\n0\r\n\r\n',
        b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
    ],
    ids=["length", "problem+json", "BOM and charset", "chunked", "after a 100"],
)
async def test_client_takes_any_form_of_a_json_answer(sent: bytes) -> None:
    async with answering(sent) as wire, open_upstream("x", wire.url, ignore) as upstream:
        assert await upstream.fetch(post(), Word)


@pytest.mark.parametrize("what", [*STATUSES, *WRONG_ANSWERS])
async def test_client_G10_no_error_carries_anything_of_the_call_or_the_answer(what: str) -> None:
    bad = answer(b"", what) if what in STATUSES else WRONG_ANSWERS[what][0]
    async with answering(bad) as wire, open_upstream("x", wire.url, ignore) as upstream:
        error = await failure(upstream, post())
        assert str(error) == f"{error.kind} ({error.cause})"
        assert error.__cause__ is None
        assert error.__context__ is None


def test_client_G10_a_call_shows_neither_headers_nor_id_nor_body() -> None:
    call = Call(
        "POST", "/a/{id}", LONG, {"X": KEY}, id=PATIENT, body=OutgoingBody("text/plain", Bytes(KEY.encode()))
    )
    assert KEY not in repr(call)
    assert PATIENT not in repr(call)


async def test_client_reports_a_good_call_by_its_template() -> None:
    records: list[CallRecord] = []
    async with answering(GOOD) as wire, open_upstream("x", wire.url, records.append) as upstream:
        await upstream.fetch(Call("GET", "/words/{id}", LONG, {}, id="a1"), Word)
    (record,) = records
    assert (record.upstream, record.method, record.path) == ("x", "GET", "/words/{id}")
    assert (record.status, record.cause) == (200, None)
    assert record.milliseconds > 0


async def test_client_reports_a_failed_call_with_status_and_cause() -> None:
    records: list[CallRecord] = []
    refusal = answer(b"", "402 Payment Required")
    async with answering(refusal) as wire, open_upstream("x", wire.url, records.append) as upstream:
        await failure(upstream, post())
    assert [(record.status, record.cause) for record in records] == [(402, "x-402")]


async def test_client_a_cancelled_call_is_reported_and_leaves_no_connection() -> None:
    records: list[CallRecord] = []
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read(reader)
        asked.set()
        await silence(reader, writer)

    async with scripted(script) as wire, open_upstream("x", wire.url, records.append) as upstream:
        call = asyncio.create_task(upstream.fetch(post(), Word))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await wire.all_closed()
    assert [(record.status, record.cause) for record in records] == [(None, "x-cancelled")]


async def test_client_leaves_no_task_and_no_connection_behind() -> None:
    before = asyncio.all_tasks()
    sent = [sent for sent, _ in WRONG_ANSWERS.values()]
    async with answering(*sent, GOOD) as wire:
        async with open_upstream("x", wire.url, ignore) as upstream:
            await asyncio.gather(*(upstream.fetch(post(), Word) for _ in sent), return_exceptions=True)
            await upstream.fetch(post(), Word)
        await wire.all_closed()
        assert asyncio.all_tasks() == before


async def test_client_G10_the_wire_gets_the_key_and_nobody_else() -> None:
    records: list[CallRecord] = []
    async with answering(GOOD) as wire, open_upstream("x", wire.url, records.append) as upstream:
        await upstream.fetch(post(), Word)
        assert wire.requests[0].header(b"X-Api-Key") == KEY.encode()
    assert KEY not in repr(records)
    assert PATIENT not in repr(records)
