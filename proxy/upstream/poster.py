"""Posts to one URL of the operator's; only the status of an answer is read."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from proxy.outbound_proxy import OutboundProxy
from proxy.spool import Bytes
from proxy.upstream import failures
from proxy.upstream.call import Budget, Call, OutgoingBody
from proxy.upstream.http1.errors import NoRoom, NotConnected
from proxy.upstream.http1.pool import Pool
from proxy.upstream.http1.upstream_pool import open_pool
from proxy.upstream.request import Heads
from proxy.upstream.sending import Attempt, begun

_NO_ANSWER: Final[tuple[type[Exception], ...]] = (NoRoom, NotConnected, *failures.FOREIGN)


class Poster:
    """A client that posts each body on a new connection, made by `open_poster`."""

    def __init__(self, url: str, pool: Pool, seconds: float) -> None:
        parts = urlsplit(url)
        self._heads = Heads(f"{parts.scheme}://{parts.netloc}")
        self._path = parts.path or "/"
        self._pool = pool
        self._budget = Budget(seconds, seconds, seconds)

    async def post(self, headers: Mapping[str, str], content_type: str | None, body: bytes) -> int | None:
        """Posts a body, and returns the status of the answer; None when no answer came in time."""
        sent = OutgoingBody(content_type or "", Bytes(body))
        call = Call("POST", self._path, self._budget, headers, body=sent)
        try:
            connection = await begun(self._pool, self._heads, call, Attempt())
        except _NO_ANSWER:
            return None
        status = connection.reader.status if connection.reader else None
        self._pool.release(connection)
        return status


@asynccontextmanager
async def open_poster(
    url: str, seconds: float, trust: ssl.SSLContext | None, proxy: OutboundProxy | None
) -> AsyncIterator[Poster]:
    """Opens a Poster; each post has `seconds`. `trust` None accepts the system's authorities."""
    async with open_pool("tee", url, trust, proxy, spares=0) as pool:
        yield Poster(url, pool, seconds)
