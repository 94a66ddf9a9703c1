"""The legacy michiQ server: requests passed on as they are, and one small call of our own."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from proxy.addresses import is_plain
from proxy.errors import UpstreamError
from proxy.upstream import failures
from proxy.upstream.call import CallRecord, OnCall
from proxy.upstream.gate import Gate
from proxy.upstream.legacy_list import as_own_call, read_list
from proxy.upstream.line import Line, open_line, open_private_line
from proxy.upstream.pool import Pool
from proxy.upstream.raw import RawAnswer, RawRequest, replaced
from proxy.upstream.trust import trusted
from proxy.upstream.wire import Informed, Wire
from proxy.values import Json

__all__ = ["Michiq", "RawAnswer", "RawRequest", "open_michiq"]

NAME: Final = "legacy"
ENCOUNTERS_SECONDS: Final = 15.0

# As they may be logged: any token is a method to HTTP, a secret too.
_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_ENCOUNTERS: Final = "/michiQ/encounters"


class Michiq:
    """One legacy server. Made by `open_michiq`."""

    def __init__(self, base_url: str, pool: Pool, gate: Gate, on_call: OnCall) -> None:
        parts = urlsplit(base_url)
        self._authority = parts.netloc.encode("ascii")
        self._path = parts.path.rstrip("/").encode("ascii")
        self._pool = pool
        self.gate = gate
        self._on_call = on_call

    @asynccontextmanager
    async def exchange(
        self, request: RawRequest, *, seconds: float, informed: Informed | None = None, path: str = "unknown"
    ) -> AsyncIterator[RawAnswer]:
        """The answer to a request, whose body is read inside the block; leaving it early hangs up.

        `informed` gets each 1xx with its headers, as it came. `path` is a template, for the log. Raises
        UpstreamError of the kinds legacy_unreachable and legacy_timeout; `chunks` of the answer too.
        Nothing is sent twice, and each exchange has a connection of its own.
        """
        started = asyncio.get_running_loop().time()
        status: int | None = None
        cause: str | None = f"{NAME}-cancelled"
        try:
            # An answer that is passed on says that the server works, whatever its status.
            with self.gate.passage():
                sent = self._sent(request)
                async with self._pool.slot(), self._answered(sent, seconds, informed) as answer:
                    status = answer.status
                    yield answer
            cause = None
        except UpstreamError as error:
            cause = error.cause
            raise
        finally:
            milliseconds = (asyncio.get_running_loop().time() - started) * 1000
            method = _METHODS.get(request.method, "other")
            self._on_call(CallRecord(NAME, method, path, status, cause, milliseconds))

    async def encounters(self, token: str) -> list[dict[str, Json]]:
        """The user's own list on the legacy server (CONTRACT L03); `token` is one of that server's.

        Raises UpstreamError: upstream_unauthorized, upstream_timeout, else upstream_failed.
        """
        failure = UpstreamError("upstream_timeout", f"{NAME}-timeout", arrived=True)
        try:
            async with asyncio.timeout(ENCOUNTERS_SECONDS):
                return await self._list(token)
        except TimeoutError:
            pass
        except UpstreamError as error:
            failure = as_own_call(error)
        # Raised out here, where it does not carry the other error along as its context.
        raise failure

    async def _list(self, token: str) -> list[dict[str, Json]]:
        headers = (
            (b"Host", self._authority),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"Authorization", b"Bearer " + token.encode("ascii")),
            (b"User-Agent", b"michiq-proxy"),
        )
        request = RawRequest(b"GET", _ENCOUNTERS.encode(), headers)
        async with self.exchange(request, seconds=ENCOUNTERS_SECONDS, path=_ENCOUNTERS) as answer:
            if error := failures.of_status(NAME, answer.status):
                raise error
            try:
                return await read_list(answer)
            except failures.FOREIGN as foreign:
                failure = failures.of_error(NAME, foreign, arrived=True)
            raise failure

    def _sent(self, request: RawRequest) -> RawRequest:
        """The request as this server is to get it: below the base path, with its own name as Host."""
        headers = replaced(request.headers, b"Host", self._authority)
        return RawRequest(request.method, self._path + request.target, headers, request.body, request.length)

    @asynccontextmanager
    async def _answered(
        self, request: RawRequest, seconds: float, informed: Informed | None
    ) -> AsyncIterator[RawAnswer]:
        wire = Wire(await self._pool.line())
        try:
            yield await wire.ask(request, seconds, informed)
        finally:
            await wire.close()


@asynccontextmanager
async def open_michiq(
    base_url: str,
    on_call: OnCall,
    monotonic: Callable[[], float] = time.monotonic,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Michiq]:
    """The server at a base URL that the settings let pass; `monotonic` is its breaker's clock.

    `trust` says whose certificates count; None is the system's authorities. Plain http to another machine
    goes to a private address only.
    """
    parts = urlsplit(base_url)
    tls = (trust or trusted(None)) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)

    async def connect() -> Line:
        if is_plain(base_url):
            return await open_private_line(parts.hostname or "", port)
        return await open_line(parts.hostname or "", port, tls)

    yield Michiq(base_url, Pool(connect), Gate(NAME, monotonic, "legacy_unreachable"), on_call)
