"""The raw client of the legacy server: which connection carries what, how calls end, its own encounters."""

import asyncio
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.errors import Refusal, UpstreamError
from proxy.raw_headers import Pairs
from proxy.upstream.call import CallRecord
from proxy.upstream.http1 import pool
from proxy.upstream.legacy import legacy_list
from proxy.upstream.legacy.michiq import Michiq, RawAnswer, RawRequest, open_michiq
from tests.flows._client import until
from tests.upstream.wire import Script, Wire, answer, answering, ignore, scripted, silence

TOKEN: Final = "token-5e5e"  # must be in no error and no record
GET: Final = RawRequest(b"GET", b"/a", ())
OK: Final = answer(b"hi")
SECONDS: Final = 5.0


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


def post(*given: bytes, length: int | None = None, headers: Pairs = ()) -> RawRequest:
    return RawRequest(b"POST", b"/a", headers, pieces(*given), length)


async def body_of(answered: RawAnswer) -> bytes:
    return b"".join([piece async for piece in answered.chunks()])


async def fetched(michiq: Michiq, request: RawRequest = GET, seconds: float = SECONDS) -> bytes:
    """Returns the body of the answer."""
    async with michiq.exchange(request, seconds=seconds) as answered:
        return await body_of(answered)


async def failure(michiq: Michiq, request: RawRequest = GET, seconds: float = SECONDS) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await fetched(michiq, request, seconds)
    return caught.value


@dataclass
class Server:
    """Michiq in front of a script, and the records of its calls."""

    michiq: Michiq
    wire: Wire
    calls: list[CallRecord] = field(default_factory=list)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Server]:
    calls: list[CallRecord] = []
    async with scripted(script) as wire, open_michiq(wire.url, calls.append) as michiq:
        yield Server(michiq, wire, calls)


@pytest.mark.parametrize("asked", [lambda: GET, lambda: post(b"hi", length=2)], ids=["get", "post"])
async def test_no_connection_is_used_twice_and_none_is_left_open(asked: Callable[[], RawRequest]) -> None:
    """A late second answer on a reused connection would reach the next user."""
    async with answering(OK) as wire, open_michiq(wire.url, ignore) as michiq:
        for _ in range(3):
            assert await fetched(michiq, asked()) == b"hi"
            await wire.all_closed()
        assert wire.connections == 3


async def test_a_server_that_can_not_be_reached_is_left_alone_after_five_calls() -> None:
    async with open_michiq("http://127.0.0.1:9", ignore, lambda: 0.0) as michiq:
        causes = [(await failure(michiq)).cause for _ in range(7)]
    assert causes == ["legacy-refused-connection"] * 5 + ["legacy-breaker-open"] * 2


@pytest.mark.parametrize("request_", [GET, post(b"hi", length=2)], ids=["get", "post"])
async def test_no_request_is_sent_again_on_a_new_connection(request_: RawRequest) -> None:
    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await server.wire.read(reader)

    async with serving(script) as server:
        error = await failure(server.michiq, request_)
        assert (error.kind, error.cause, error.arrived) == ("legacy_unreachable", "legacy-cut", True)
        assert len(server.wire.requests) == 1


async def test_there_are_only_so_many_connections_and_little_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "POOL_WAIT_SECONDS", 0.02)
    release = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.wire.read(reader)
        await release.wait()
        writer.write(OK)
        await silence(reader, writer)

    async with serving(script) as server:
        waiting = [asyncio.create_task(fetched(server.michiq)) for _ in range(pool.CONNECTIONS)]
        await until(lambda: len(server.wire.requests) == pool.CONNECTIONS)
        error = await failure(server.michiq)
        assert (error.kind, error.cause, error.arrived) == ("legacy_unreachable", "legacy-busy", False)
        release.set()
        assert await asyncio.gather(*waiting) == [b"hi"] * pool.CONNECTIONS
        assert await fetched(server.michiq) == b"hi"


async def test_a_body_is_chunked_where_its_length_is_unknown() -> None:
    got = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async with serving(script) as server:
        headers = ((b"X-A", b"1"),)
        assert await fetched(server.michiq, post(b"a", b"", b"bc", headers=headers)) == b"hi"
        host = server.wire.url.removeprefix("http://").encode()
        assert await got == (
            b"POST /a HTTP/1.1\r\nX-A: 1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n" % host
        )


@pytest.mark.parametrize("length", [1, 3])
async def test_a_body_of_another_length_than_it_said_ends_the_call(length: int) -> None:
    async with serving(silence) as server:
        with pytest.raises(Refusal) as caught:
            await fetched(server.michiq, post(b"hi", length=length))
        assert caught.value.cause == "body-length"
        await server.wire.all_closed()


@pytest.mark.parametrize("sign", [b"\r", b"\n", b"\0"])
async def test_a_field_that_would_end_its_line_is_never_sent(sign: bytes) -> None:
    async with serving(silence) as server:
        with pytest.raises(ValueError, match="line end"):
            await fetched(server.michiq, RawRequest(b"GET", b"/", ((b"X-A", b"1" + sign + b"X-B: 2"),)))


async def test_a_server_that_takes_no_more_of_a_body_is_too_slow() -> None:
    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(script) as server:
        error = await failure(server.michiq, post(*[bytes(2**20)] * 64, length=64 * 2**20), seconds=0.1)
        assert (error.kind, error.cause) == ("legacy_timeout", "legacy-timeout")


async def test_what_the_body_raises_ends_the_call() -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"a"
        raise Refusal("malformed", "body-cut")

    async with serving(silence) as server:
        with pytest.raises(Refusal, match="body-cut"):
            await fetched(server.michiq, RawRequest(b"POST", b"/a", (), cut(), 2))
        assert [call.cause for call in server.calls] == ["legacy-cancelled"]
        await server.wire.all_closed()


async def test_an_answer_is_heard_though_our_own_write_is_what_finds_the_connection_closed() -> None:
    """A server answers by the head alone and resets, and all of it comes between two turns of the loop."""
    listening = socket.create_server(("127.0.0.1", 0))
    refused = threading.Event()

    def serve() -> None:
        line, _ = listening.accept()
        line.recv(65536)
        line.sendall(answer(b"big", "413 Too Large"))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
        refused.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        assert refused.wait(SECONDS)  # blocks the loop, which hears nothing of it
        yield b"b" * 65536
        yield b"c" * 65536

    server = threading.Thread(target=serve)
    server.start()
    try:
        async with open_michiq(f"http://127.0.0.1:{listening.getsockname()[1]}", ignore) as michiq:
            request = RawRequest(b"POST", b"/a", (), body(), 131_073)
            async with michiq.exchange(request, seconds=SECONDS) as answered:
                assert (answered.status, await body_of(answered)) == (413, b"big")
    finally:
        server.join()
        listening.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody signed but itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "legacy")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.mark.parametrize("trusted", [True, False])
async def test_https_goes_only_to_a_server_whose_certificate_is_trusted(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(public))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with (
        server,
        open_michiq(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ignore) as michiq,
    ):
        if trusted:
            assert [await fetched(michiq), await fetched(michiq)] == [b"hi", b"hi"]
        else:
            error = await failure(michiq)
            assert (error.kind, error.cause, error.arrived) == ("legacy_unreachable", "legacy-tls", False)


@asynccontextmanager
async def named(*addresses: str) -> AsyncIterator[tuple[Michiq, Wire]]:
    """A server that is called by a name in plain http; the name stands for these addresses."""
    loop = asyncio.get_running_loop()

    async def look_up(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(None, None, None, "", (address, port)) for address in addresses]

    async with answering(OK) as wire:
        url = wire.url.replace("127.0.0.1", "michiq.hospital.example")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "getaddrinfo", look_up)
            async with open_michiq(url, ignore) as michiq:
                yield michiq, wire


@pytest.mark.parametrize("others", [(), ("203.0.113.9",), ("2001:db8::1",)], ids=["alone", "IPv4", "IPv6"])
async def test_X01_plain_http_goes_to_the_private_ones_of_a_names_addresses(others: tuple[str, ...]) -> None:
    async with named(*others, "127.0.0.1") as (michiq, _):
        assert await fetched(michiq) == b"hi"


@pytest.mark.parametrize("address", ["203.0.113.9", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "0.0.0.0"])
async def test_X01_plain_http_never_leaves_for_a_public_address(address: str) -> None:
    """The name may have had other addresses when the settings were read."""
    async with named(address) as (michiq, wire):
        error = await failure(michiq)
        assert (error.kind, error.cause, error.arrived) == (
            "legacy_unreachable",
            "legacy-not-private",
            False,
        )
        assert wire.connections == 0


# How a server can't be reached, by its address.
UNREACHABLE: Final = {
    "nobody listens": ("http://127.0.0.1:1", "legacy-refused-connection"),
    "no such name": ("http://michiq.invalid", "legacy-unreachable"),
    "a name that can't be one": ("http://" + "a" * 64 + ".example", "legacy-unreachable"),
}


@pytest.mark.parametrize("how", UNREACHABLE)
async def test_a_server_that_can_not_be_reached_is_unreachable(how: str) -> None:
    url, cause = UNREACHABLE[how]
    async with open_michiq(url, ignore) as michiq:
        error = await failure(michiq)
        assert (error.kind, error.cause, error.arrived) == ("legacy_unreachable", cause, False)


async def test_a_report_names_the_template_and_no_method_of_the_clients_own() -> None:
    async with serving(silence) as server:
        request = RawRequest(b"SECRET", b"/a/%b" % TOKEN.encode(), ())
        with pytest.raises(UpstreamError):
            async with server.michiq.exchange(request, seconds=0.01, path="/a/{id}"):
                pass
        (call,) = server.calls
        assert call == CallRecord("legacy", "other", "/a/{id}", None, "legacy-timeout", call.milliseconds)


LIST: Final = b'[{"MichiqUUID": "a"}, {"MichiqUUID": "b", "Cost": 0.5}]'


async def test_encounters_L03_are_read_with_the_users_own_token() -> None:
    async with answering(answer(LIST)) as wire, open_michiq(f"{wire.url}/old", ignore) as michiq:
        assert await michiq.encounters(TOKEN) == [{"MichiqUUID": "a"}, {"MichiqUUID": "b", "Cost": 0.5}]
        (request,) = wire.requests
        assert request.line == b"GET /old/michiQ/encounters HTTP/1.1"
        assert request.header(b"Authorization") == b"Bearer " + TOKEN.encode()
        assert request.header(b"Accept-Encoding") == b"identity"
        assert request.header(b"Host") == wire.url.removeprefix("http://").encode()


def packed(body: bytes) -> bytes:
    return answer(body, head="Content-Type: application/json\r\nContent-Encoding: gzip")


@pytest.mark.parametrize("body", [gzip.compress(LIST), LIST], ids=["packed", "only said to be"])
async def test_encounters_L03_X03_are_read_packed_though_nobody_asked(body: bytes) -> None:
    async with answering(packed(body)) as wire, open_michiq(wire.url, ignore) as michiq:
        assert [each["MichiqUUID"] for each in await michiq.encounters(TOKEN)] == ["a", "b"]


# Answers that are no list of encounters: the kind and the cause of the error.
NO_LISTS: Final = {
    "refused": (answer(b"", "401 Unauthorized"), "upstream_unauthorized", "legacy-401"),
    "forbidden": (answer(b"", "403 Forbidden"), "upstream_failed", "legacy-403"),
    "failed": (answer(b"", "500 Internal Server Error"), "upstream_failed", "legacy-500"),
    "elsewhere": (answer(b"", "302 Found", "Location: /"), "upstream_failed", "legacy-redirect"),
    "another type": (answer(LIST, head="Content-Type: text/plain"), "upstream_failed", "legacy-garbage"),
    "no type": (answer(LIST, head="X-A: b"), "upstream_failed", "legacy-garbage"),
    "two types": (
        answer(LIST, head="Content-Type: application/json\r\nContent-Type: application/json"),
        "upstream_failed",
        "legacy-garbage",
    ),
    "half of a gzip": (
        packed(gzip.compress(LIST)[:-1]),
        "upstream_failed",
        "legacy-garbage",
    ),
    "a bomb": (packed(gzip.compress(b" " * 50_000_000)), "upstream_failed", "legacy-oversized"),
    "an object": (answer(b"{}"), "upstream_failed", "legacy-garbage"),
    "a list of something else": (answer(b'[{"a": 1}, 2]'), "upstream_failed", "legacy-garbage"),
    "no JSON": (answer(b"[{]"), "upstream_failed", "legacy-garbage"),
    "half of it": (answer(LIST)[:-1], "upstream_timeout", "legacy-timeout"),
    "nothing": (b"", "upstream_timeout", "legacy-timeout"),
    "another protocol": (b"SSH-2.0\r\n\r\n", "upstream_failed", "legacy-garbage"),
}


@pytest.mark.parametrize("what", NO_LISTS)
async def test_encounters_L03_that_are_no_list_are_an_error_of_a_kind(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, kind, cause = NO_LISTS[what]
    monkeypatch.setattr(
        "proxy.upstream.legacy.michiq.ENCOUNTERS_SECONDS", 0.1 if "timeout" in cause else SECONDS
    )
    async with answering(sent) as wire, open_michiq(wire.url, ignore) as michiq:
        with pytest.raises(UpstreamError) as caught:
            await michiq.encounters(TOKEN)
        assert (caught.value.kind, caught.value.cause) == (kind, cause)
        assert caught.value.__context__ is None
        assert TOKEN not in repr(caught.value)


async def test_encounters_L03_are_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_list, "MAX_LIST", len(LIST))
    async with answering(answer(LIST), answer(LIST + b" ")) as wire, open_michiq(wire.url, ignore) as michiq:
        assert len(await michiq.encounters(TOKEN)) == 2
        with pytest.raises(UpstreamError, match="legacy-oversized"):
            await michiq.encounters(TOKEN)


@pytest.mark.parametrize("value", [GET, RawRequest(b"GET", b"/" + TOKEN.encode(), ((b"A", TOKEN.encode()),))])
def test_a_request_shows_nothing_of_itself(value: RawRequest) -> None:
    assert TOKEN not in repr(value)
