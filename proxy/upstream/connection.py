"""The HTTP session of one upstream, and connections that are never reused after anything odd."""

from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

# Node's servers, the new platform's among them, close an idle connection after 5 s. A POST that meets
# the closing has perhaps arrived and perhaps not, so ours are given up first.
KEEPALIVE_SECONDS: Final = 4.0
MAX_HEADER: Final = 16 * 1024


@dataclass(slots=True)
class Attempt:
    """How far a call came: `sent` once a byte of it may be on its way, `status` once one came back."""

    sent: bool = False
    status: int | None = None


class StaleConnection(aiohttp.ClientConnectionError):
    """A pooled connection that was condemned, or on which something came without being asked for.

    Raised before a byte was written to it, so the call may go out on another one.
    """


class CheckedRequest(aiohttp.ClientRequest):
    """A request that looks at its connection before it writes to it.

    aiohttp's pool hands out any connection that is open, also one with a late second answer in its
    buffer, which the next user would be given as theirs.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise StaleConnection
        return await super().send(conn)


class CondemningResponse(aiohttp.ClientResponse):
    """A response whose connection is given up when its `async with` block is left by an exception.

    aiohttp puts the connection back into its pool with the last byte of the body, before anyone
    looked at the answer: so the mark is left on the connection itself, for CheckedRequest to find.
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
        if exc_type is not None:
            self._condemn()
        await super().__aexit__(exc_type, exc_val, exc_tb)

    def _condemn(self) -> None:
        if self.connection is not None:
            self._abort()
        elif self._line is not None:
            self._line.force_close()

    def _abort(self) -> None:
        # Closing would first wait for the peer to read what is still buffered, perhaps for ever.
        if self._line is not None:
            self._line.abort()


async def _mark_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.sent = True


def open_session(connections: int) -> aiohttp.ClientSession:
    """A session for one upstream with at most `connections` connections. Only inside a running loop.

    No cookie is kept, no proxy or netrc is read from the environment, nothing is decompressed. A call
    passes its Attempt as `trace_request_ctx`. Nothing is sent twice.
    """
    progress = aiohttp.TraceConfig()
    progress.on_request_headers_sent.append(_mark_sent)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections,
            limit_per_host=connections,
            keepalive_timeout=KEEPALIVE_SECONDS,
            resolver=aiohttp.ThreadedResolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "michiq-proxy"},
        skip_auto_headers=("Content-Type",),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[progress],
        request_class=CheckedRequest,
        response_class=CondemningResponse,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
    )
    # aiohttp would send a GET once more when its connection drops; what is tried twice is not for it to say.
    session._retry_connection = False
    return session
