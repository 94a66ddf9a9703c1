"""Opens a tunnel through the outbound proxy (RFC 9110, section 9.3.6), with TLS to the upstream inside it."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, cast

from proxy.outbound_proxy import OutboundProxy
from proxy.upstream.http1.answer_reader import AnswerReader
from proxy.upstream.http1.connection import Connection


class ProxyUnreachable(OSError):
    """An outbound proxy that accepted no connection."""


class ProxyRefused(OSError):
    """An outbound proxy that opened no tunnel."""


class _Asking(asyncio.Protocol):
    """A reader of the proxy's answer to CONNECT.

    Bytes after a 2xx would come from the upstream, but it sends nothing before our first request.
    """

    def __init__(self) -> None:
        # Like an answer to HEAD, a 2xx to CONNECT has no body, whatever its headers declare.
        self._reader = AnswerReader(is_head=True)
        self._end = b""
        self.opened: Final = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._end = (self._end + data)[-4:]
        self._check()

    def eof_received(self) -> None:
        self._reader.end(cleanly=False)
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.end(cleanly=exc is None)
        self._check()

    def _check(self) -> None:
        if (self._reader.complete or self._reader.error is not None) and not self.opened.done():
            is_open = 200 <= self._reader.status < 300 and self._end == b"\r\n\r\n"
            self.opened.set_result(is_open)


async def open_tunnel(
    proxy: OutboundProxy, host: str, port: int, tls: ssl.SSLContext | None, made: Callable[[], Connection]
) -> Connection:
    """Opens a tunnel to the host, and returns its connection after the TLS handshake.

    Raises ProxyUnreachable, ProxyRefused and other OSErrors.
    """
    loop = asyncio.get_running_loop()
    try:
        plain, asking = await loop.create_connection(_Asking, proxy.host, proxy.port)
    except (OSError, UnicodeError):
        raise ProxyUnreachable from None
    with ExitStack() as on_failure:
        on_failure.callback(plain.abort)
        plain.write(proxy.connect(host, port))
        if not await asking.opened:
            raise ProxyRefused
        connection = await _inside(plain, host, tls, made())
        on_failure.pop_all()
    return connection


async def _inside(
    plain: asyncio.Transport, host: str, tls: ssl.SSLContext | None, connection: Connection
) -> Connection:
    transport: asyncio.BaseTransport | None = plain
    if tls is None:
        plain.set_protocol(connection)
    else:
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(plain, connection, tls, server_hostname=host)
    connection.connection_made(cast(asyncio.BaseTransport, transport))
    return connection
