"""The shipped nginx.conf and haproxy.cfg, run by these programs: what clients send arrives, unlogged."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest

from tests.docker.conftest import Nginx, RunNginx

CANARY: Final = "CANARY-7f3a"
LIMIT: Final = aiohttp.ClientTimeout(total=60)
PIECE: Final = bytes(range(256)) * 256
PIECES: Final = 320  # of 64 KiB: 20 MB


async def raw(nginx: Nginx, head: bytes) -> tuple[bytes, dict[str, Any]]:
    """Send these very bytes; the status line and the JSON that came back (none of it: nginx's own page)."""
    reader, writer = await asyncio.open_connection(nginx.host, nginx.port)
    writer.write(head.replace(b"\n", b"\r\n") + b"\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    status, _, rest = answer.partition(b"\r\n")
    body = rest.partition(b"\r\n\r\n")[2]
    return status, json.loads(body) if body.startswith(b"{") else {}


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(PIECES):
        yield PIECE


@pytest.mark.parametrize(
    "header",
    [
        b"API_KEY: key",
        b"user_mail: doctor@example.com",
        b"organization: Cl\xc3\xadnica",
        b"organization: Cl\xednica",
        b"X-Request-ID: r-client",
        b"Authorization: Bearer token",
        b"Host: Michiq.example.com:8080",
    ],
)
async def test_balancer_N02_a_header_arrives_byte_for_byte(
    header: bytes, balancer: Nginx, request: pytest.FixtureRequest
) -> None:
    """HAProxy writes names in lower case (RFC 9110, section 5.1)."""
    host = b"" if header.startswith(b"Host") else b"\nHost: x"
    status, told = await raw(balancer, b"GET /michiQ/encounters HTTP/1.1\n" + header + host)
    assert status == b"HTTP/1.1 200 OK"
    name, value = header.decode("latin-1").split(": ")
    assert [name.lower() if "haproxy" in request.node.name else name, value] in told["headers"]


@pytest.mark.parametrize(
    "target", ["/michiQ/doc/a%2Fb", "/michiQ//doc/%2e%2e", "/app/encounter/x?view=case&a=%20"]
)
async def test_balancer_G03_the_target_arrives_as_it_was_sent(target: str, balancer: Nginx) -> None:
    _, told = await raw(balancer, f"GET {target} HTTP/1.1\nHost: x".encode())
    assert told["target"] == target


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
async def test_balancer_U05_an_upload_of_20_mb_passes(chunked: bool, balancer: Nginx) -> None:
    body = PIECE * PIECES
    async with (
        aiohttp.ClientSession(timeout=LIMIT) as client,
        client.post(f"{balancer.url}/michiQ/uploadAudio/1", data=pieces() if chunked else body) as answer,
    ):
        told = await answer.json()
    assert (told["size"], told["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    headers = [[name.lower(), value] for name, value in told["headers"]]
    assert (["transfer-encoding", "chunked"] in headers) is chunked


async def test_balancer_U05_a_form_a_little_over_100_mb_is_left_to_the_proxy_to_refuse(
    balancer: Nginx,
) -> None:
    """The declared length alone decides in nginx: a 413 would come before any body."""
    reader, writer = await asyncio.open_connection(balancer.host, balancer.port)
    size = 101 * 1024 * 1024
    writer.write(f"POST /michiQ/uploadAudio/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n".encode())
    writer.write(b"Expect: 100-continue\r\n\r\n")
    assert await asyncio.wait_for(reader.readline(), 30) == b"HTTP/1.1 100 Continue\r\n"
    writer.close()


async def test_nginx_G10_its_log_has_the_route_and_nothing_of_the_request(
    run_nginx: RunNginx, upstream_url: str
) -> None:
    async with run_nginx(upstream_url) as nginx:
        for target in (f"/michiQ/doc/{CANARY}?{CANARY}", f"/app//encounter/{CANARY}/", f"/{CANARY}"):
            await raw(nginx, f"GET {target} HTTP/1.1\nHost: {CANARY}\nX-Request-ID: {CANARY}".encode())
        await raw(nginx, f"{CANARY} / HTTP/1.1\nHost: x".encode())
    logged = nginx.stdout.read_text()
    assert CANARY not in logged + nginx.stderr.read_text()
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["route"] for line in lines[:3]] == ["/michiQ/doc", "/app/encounter", "other"]
    assert {line["request_id"] for line in lines[:3]} == {"r-upstream"}


async def test_nginx_G10_a_proxy_that_is_down_shows_in_the_access_log_alone(run_nginx: RunNginx) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        host, port = unused.getsockname()
        async with run_nginx(f"{host}:{port}") as nginx:
            status, _ = await raw(nginx, f"GET /michiQ/doc/{CANARY} HTTP/1.1\nHost: x".encode())
    assert status == b"HTTP/1.1 502 Bad Gateway"
    assert json.loads(nginx.stdout.read_text())["status"] == "502"
    assert CANARY not in nginx.stderr.read_text()


async def test_a_host_with_a_scheme_in_it_is_nginxs_own_400(nginx: Nginx) -> None:
    """A known limit: nginx refuses what the legacy document's sample shows, before any setting is asked."""
    status, told = await raw(nginx, b"GET /michiQ/encounters HTTP/1.1\nHost: https://lamalitica.com/")
    assert (status, told) == (b"HTTP/1.1 400 Bad Request", {})
