"""A relay that hands every request on unchanged, and keeps what went by in both directions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.contracts.exchange import Exchange, Message
from tests.serving import serving

# What belongs to one connection; each side of the relay makes its own.
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"})
_OWN_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_SIZE: Final = 256 * 1024 * 1024
_LINE: Final = 128 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)


class Relay:
    """`target` may be set late: whoever is told `url` can start before what stands behind it."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.url = ""
        self.target = ""
        self.exchanges: list[Exchange] = []
        self._http = http

    async def handle(self, request: web.Request) -> web.Response:
        asked = Message(_end_to_end(request.headers), await request.read())
        async with self._http.request(
            request.method,
            URL(f"{self.target}{request.raw_path}", encoded=True),
            headers=CIMultiDict(asked.headers),
            data=asked.body or None,
            skip_auto_headers=_OWN_HEADERS,
            allow_redirects=False,
        ) as response:
            answered = Message(_end_to_end(response.headers), await response.read())
        path, _, query = request.raw_path.partition("?")
        self.exchanges.append(Exchange(request.method, path, query, asked, response.status, answered))
        return web.Response(status=response.status, body=answered.body, headers=CIMultiDict(answered.headers))


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    async with (
        aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False, timeout=_TIMEOUT
        ) as http,
        serving() as serve,
    ):
        made = Relay(http)
        app = web.Application(client_max_size=_SIZE)
        app.router.add_route("*", "/{path:.*}", made.handle)
        server = await serve(
            app, access_log=None, auto_decompress=False, max_line_size=_LINE, max_field_size=_LINE
        )
        made.url = str(server.make_url("")).rstrip("/")
        yield made


def _end_to_end(headers: CIMultiDictProxy[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers.items() if name.lower() not in _HOP)
