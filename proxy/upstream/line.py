"""One socket to the legacy server: bytes in order, little of them in memory, and how it ended."""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import Final, cast

from proxy.addresses import is_private

_HIGH_WATER: Final = 64 * 1024
_PIECE: Final = 64 * 1024
# What is looked for on a socket that broke: an answer's head, perhaps with a short body.
_RESCUED_PIECES: Final = 4


class Line(asyncio.Protocol):
    """An open connection.

    asyncio's own streams forget what had arrived when a write fails, which is how a server is met
    that refuses a large body and hangs up.
    """

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._ended = False
        self._broken = False
        self._held = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def read(self) -> bytes:
        """What has arrived, as soon as there is something; b"" at the end. ConnectionError when it broke."""
        while not (self._arrived or self._ended):
            self._news.clear()
            await self._news.wait()
        data = bytes(self._arrived)
        self._arrived.clear()
        if self._held and not self._ended:
            self._held = False
            self._transport.resume_reading()
        if self._broken and not data:
            raise ConnectionResetError("the line broke")
        return data

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more; ConnectionError where nobody reads any more."""
        if self._transport.is_closing():
            raise ConnectionResetError("the line is closed")
        self._transport.write(data)
        await self._room.wait()

    def abort(self) -> None:
        """Closing would first wait for the peer to read what is still buffered, perhaps for ever."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        if len(self._arrived) > _HIGH_WATER and not self._held:
            self._held = True
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> None:
        self._ended = True
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self._ended:
            self._broken = True
            self._rescue()
        self._ended = True
        self._news.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def _rescue(self) -> None:
        """Takes what the peer had said before our own write met the closed end."""
        if self._transport.get_extra_info("sslcontext") is not None:
            return  # its bytes are sealed
        descriptor = self._transport.get_extra_info("socket").fileno()
        with suppress(OSError):
            for _ in range(_RESCUED_PIECES):
                self._arrived += os.read(descriptor, _PIECE)


class NotPrivate(OSError):
    """A name stands for no address in a closed network."""


async def open_private_line(host: str, port: int) -> Line:
    """Connects in plain text, and only to a private address; NotPrivate where the host has none.

    The name is looked up once: what was judged is what is connected to.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [place[0] for *_, place in found if is_private(str(place[0]))]
    failure: OSError = NotPrivate()
    for address in addresses:
        try:
            return await open_line(str(address), port, None)
        except OSError as error:
            failure = error
    raise failure


async def open_line(host: str, port: int, tls: ssl.SSLContext | None) -> Line:
    """Connects; OSError where that fails, ssl.SSLError among them."""
    loop = asyncio.get_running_loop()
    name = host if tls else None
    _, line = await loop.create_connection(Line, host, port, ssl=tls, server_hostname=name)
    return line
