"""Calls through the outbound proxy: by a tunnel, with credentials, and to nobody else."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from proxy.errors import UpstreamError
from proxy.outbound_proxy import OutboundProxy, parse_no_proxy, parse_outbound_proxy
from proxy.upstream.client import Upstream, open_upstream
from proxy.upstream.legacy.michiq import RawRequest, open_michiq
from tests.certificates import Made, make, trusting
from tests.upstream.http1.test_kept import ANA, EVA, GOOD, call
from tests.upstream.http1.tinyproxy import NEEDED, PASSWORD, tinyproxy
from tests.upstream.test_client import Word
from tests.upstream.wire import answering, ignore, scripted

TUNNEL: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path, "upstream")


@asynccontextmanager
async def upstream_by_https(made: Made) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(GOOD)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def failure(upstream: Upstream) -> tuple[str, bool]:
    with pytest.raises(UpstreamError) as caught:
        await upstream.fetch(call(ANA), Word)
    assert caught.value.__context__ is None
    return caught.value.cause, caught.value.arrived


@NEEDED
async def test_outbound_proxy_is_asked_for_a_tunnel_which_is_kept_as_any_connection(
    made: Made, tmp_path: Path
) -> None:
    async with upstream_by_https(made) as url, tinyproxy(tmp_path) as hospital:
        proxy = parse_outbound_proxy(hospital.url)
        async with open_upstream("x", url, ignore, trust=trusting(made), proxy=proxy) as upstream:
            for caller in (ANA, ANA, EVA):
                assert (await upstream.fetch(call(caller), Word)).word == "hola"
        assert hospital.tunnels == 2


@NEEDED
async def test_outbound_proxy_leads_to_the_legacy_server_too(made: Made, tmp_path: Path) -> None:
    async with upstream_by_https(made) as url, tinyproxy(tmp_path) as hospital:
        proxy = parse_outbound_proxy(hospital.url)
        async with (
            open_michiq(url, ignore, trust=trusting(made), proxy=proxy) as michiq,
            michiq.exchange(RawRequest(b"GET", b"/a", ()), seconds=5) as answered,
        ):
            assert answered.status == 200
        assert hospital.tunnels == 1


@NEEDED
async def test_outbound_proxy_that_knows_other_credentials_is_a_failure_of_its_own(
    made: Made, tmp_path: Path
) -> None:
    async with upstream_by_https(made) as url, tinyproxy(tmp_path) as hospital:
        proxy = parse_outbound_proxy(hospital.url.replace(PASSWORD, "wrong"))
        async with open_upstream("x", url, ignore, trust=trusting(made), proxy=proxy) as upstream:
            assert await failure(upstream) == ("x-proxy-refused", False)


@NEEDED
async def test_outbound_proxy_can_not_stand_in_for_the_upstream(made: Made, tmp_path: Path) -> None:
    """The upstream's certificate is verified at the end of the tunnel."""
    other = make(tmp_path, "other")
    async with upstream_by_https(made) as url, tinyproxy(tmp_path) as hospital:
        proxy = parse_outbound_proxy(hospital.url)
        async with open_upstream("x", url, ignore, trust=trusting(other), proxy=proxy) as upstream:
            assert await failure(upstream) == ("x-tls", False)


async def test_outbound_proxy_that_is_not_there_is_unreachable() -> None:
    proxy = OutboundProxy("127.0.0.1", 1)
    async with open_upstream("x", "https://a.example", ignore, proxy=proxy) as upstream:
        assert await failure(upstream) == ("x-proxy-unreachable", False)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "x-proxy-refused"),
        (b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n", "x-proxy-refused"),
        (b"SSH-2.0\r\n", "x-proxy-refused"),
        (b"", "x-proxy-refused"),
        (TUNNEL + b"no TLS", "x-proxy-refused"),
        (TUNNEL, "x-unreachable"),
    ],
)
async def test_outbound_proxy_that_opens_no_good_tunnel_is_a_failure_in_which_nothing_arrived(
    said: bytes, cause: str
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        if said.endswith(b"no TLS"):
            await reader.read()

    async with scripted(script) as wire:
        proxy = OutboundProxy("127.0.0.1", int(wire.url.rsplit(":")[-1]))
        async with open_upstream("x", "https://a.example", ignore, proxy=proxy) as upstream:
            assert await failure(upstream) == (cause, False)
        await wire.all_closed()


async def test_outbound_proxy_is_asked_in_the_words_of_the_standard() -> None:
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))

    async with scripted(script) as wire:
        proxy = parse_outbound_proxy(wire.url.replace("http://", "http://ana:b@"))
        async with open_upstream("x", "https://a.example", ignore, proxy=proxy) as upstream:
            await failure(upstream)
    assert got[0] == (
        b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n"
        b"Proxy-Authorization: Basic YW5hOmI=\r\n\r\n"
    )


async def _nobody(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("listed", ["127.0.0.1", "127.0.0.0/8", "a.example,127.0.0.1"])
async def test_no_proxy_names_what_is_called_directly(listed: str, made: Made) -> None:
    async with upstream_by_https(made) as url, scripted(_nobody) as wire:
        proxy = replace(parse_outbound_proxy(wire.url), unless=parse_no_proxy(listed))
        async with open_upstream("x", url, ignore, trust=trusting(made), proxy=proxy) as upstream:
            assert (await upstream.fetch(call(ANA), Word)).word == "hola"
        assert wire.connections == 0


async def test_X01_plain_http_never_goes_through_the_outbound_proxy() -> None:
    async with answering(GOOD) as upstream_wire, scripted(_nobody) as wire:
        proxy = parse_outbound_proxy(wire.url)
        async with open_upstream("x", upstream_wire.url, ignore, proxy=proxy) as upstream:
            assert (await upstream.fetch(call(ANA), Word)).word == "hola"
        assert wire.connections == 0
