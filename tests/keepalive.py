"""A client that keeps its connection, sends nothing twice, and says what became of the connection."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def last(self) -> bool:
        """Returns whether the server said that this answer is the connection's last one."""
        return self.headers.get("connection") == "close"


class Connection:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str, tls: ssl.SSLContext | None = None, name: str | None = None) -> Self:
        """Opens a connection; `name` is the server's name in the client's request."""
        parts = urlsplit(url)
        return cls(
            *await asyncio.open_connection(
                parts.hostname, parts.port, ssl=tls, server_hostname=(name or parts.hostname) if tls else None
            )
        )

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def reply(self) -> Reply:
        """Returns the next answer; raises ConnectionError or IncompleteReadError if no whole one comes."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        fields = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in fields}
        return Reply(int(status.split(" ")[1]), headers, await self._body(headers))

    async def ask(self, data: bytes) -> Reply:
        self.send(data)
        return await self.reply()

    async def ended(self) -> bool:
        """Returns True once the server has closed the connection without another byte."""
        return await self._reader.read(1) == b""

    @property
    def over(self) -> bool:
        """Returns whether the server's end of the connection has been seen."""
        return self._reader.at_eof()

    def certificate(self) -> bytes:
        """Returns the certificate that the server showed."""
        shown: bytes = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown

    def close(self) -> None:
        self._writer.close()

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body


def get(path: str, token: str | None = None) -> bytes:
    """Sends a request without a body."""
    line = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: proxy.example\r\n{line}\r\n".encode()
