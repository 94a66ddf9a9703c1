"""The HTTP session of one upstream: a connection for each call, gone with it."""

import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from proxy.upstream.trust import trusted

MAX_LINE: Final = 16 * 1024
MAX_HEADER: Final = 64 * 1024  # as of a client's, and of the legacy server's


@dataclass(slots=True)
class Attempt:
    """How far a call came: `sent` once a byte of it may be on its way, `status` once one came back."""

    sent: bool = False
    status: int | None = None


class OwnConnection(aiohttp.ClientResponse):
    """A response whose connection ends at once when its `async with` block is left.

    No other call may have it. A second answer that comes late would be taken for the next user's, and
    no look at the connection beforehand is late enough to rule that out; and a POST that meets a server
    which is just closing an idle connection has perhaps arrived and perhaps not.
    """

    _line: ResponseHandler | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        self._line = connection.protocol
        with ExitStack() as on_failure:
            on_failure.callback(self._abort)
            response = await super().start(connection)
            on_failure.pop_all()
        return response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._abort()
        await super().__aexit__(exc_type, exc_val, exc_tb)

    def _abort(self) -> None:
        # Closing would first wait for the peer to read what is still buffered, perhaps for ever.
        if self._line is not None:
            self._line.abort()


async def _mark_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.sent = True


def open_session(connections: int, trust: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """A session for one upstream with at most `connections` connections. Only inside a running loop.

    `trust` says whose certificates count; None is the system's authorities.

    No cookie is kept, no proxy or netrc is read from the environment, nothing is decompressed. A call
    passes its Attempt as `trace_request_ctx`. Nothing is sent twice.
    """
    progress = aiohttp.TraceConfig()
    progress.on_request_headers_sent.append(_mark_sent)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections,
            limit_per_host=connections,
            force_close=True,
            ssl=trust or trusted(None),
            resolver=aiohttp.ThreadedResolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "michiq-proxy"},
        skip_auto_headers=("Content-Type",),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[progress],
        response_class=OwnConnection,
        max_line_size=MAX_LINE,
        max_field_size=MAX_HEADER,
    )
    # aiohttp would send a GET once more when its connection drops; what is tried twice is not for it to say.
    session._retry_connection = False
    return session
