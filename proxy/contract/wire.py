"""Sends requests byte for byte: an HTTP library would repair the faults that a check is about."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from socket import socket
from typing import Final, cast

from yarl import URL

from proxy.contract.reply import Reply
from proxy.contract.verdicts import NoAnswer

# A michiq-proxy recognizes the contract suite by it, and leaves it out of its ledger of clients.
USER_AGENT: Final = "michiq-proxy-contract"
SECONDS: Final = 60.0
_LIMIT: Final = 1024 * 1024  # of an answer; no answer to a malformed request is long


async def talk(url: URL, data: bytes) -> Reply:
    """Returns the first final answer to `data`, on a connection of its own.

    Raises NoAnswer when there is none. The answer is read while the request is still being sent, because a
    host may refuse it before its end.
    """
    try:
        async with asyncio.timeout(SECONDS), _connected(url) as (reader, writer):
            sending = asyncio.create_task(_send(writer, data), name="contract-send")
            try:
                return _parsed(await _received(reader))
            finally:
                sending.cancel()
                await asyncio.wait([sending])
    except (OSError, EOFError, asyncio.LimitOverrunError, HTTPException, ValueError) as error:
        raise NoAnswer(type(error).__name__) from None


def request(url: URL, method: str, path: str, headers: Iterable[tuple[str, bytes | str]]) -> bytes:
    """Returns the head of a request to `path` below `url`.

    A `Host` or `User-Agent` among the headers replaces the usual one.
    """
    lines = [
        (name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers
    ]
    given = {name.lower() for name, _ in lines}
    usual = ((b"Host", url.authority.encode()), (b"User-Agent", USER_AGENT.encode()))
    lines = [*(line for line in usual if line[0].lower() not in given), *lines]
    head = [f"{method} {url.raw_path.rstrip('/')}{path} HTTP/1.1".encode()]
    head += [b"%b: %b" % line for line in [*lines, (b"Connection", b"close")]]
    return b"\r\n".join([*head, b"", b""])


@asynccontextmanager
async def _connected(url: URL) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = ssl.create_default_context() if url.scheme == "https" else None
    reader, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(ConnectionError):  # refused before all of it was sent
        for start in range(0, len(data), 64 * 1024):
            writer.write(data[start : start + 64 * 1024])
            await writer.drain()


async def _received(reader: asyncio.StreamReader) -> bytes:
    """Returns a whole answer, up to its announced length: a server that still listens is not waited for."""
    head = await reader.readuntil(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 1"):
        head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(value)
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        if name.lower() == b"content-length"
    ]
    if lengths:
        return head + await reader.readexactly(min(lengths[0], _LIMIT))
    body = b""
    while (piece := await reader.read(_LIMIT)) and len(body) <= _LIMIT:
        body += piece
    return head + body


class _Read:
    """The received bytes in the form that http.client reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def _parsed(data: bytes) -> Reply:
    response = HTTPResponse(cast(socket, _Read(data)))
    response.begin()
    return Reply(response.status, tuple(response.getheaders()), response.read())
