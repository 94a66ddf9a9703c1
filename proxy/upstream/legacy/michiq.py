"""The client of the legacy michiQ server: forwards raw requests, and makes one small call of its own."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from proxy.errors import UpstreamError
from proxy.outbound_proxy import OutboundProxy
from proxy.upstream import failures
from proxy.upstream.call import CallRecord, OnCall
from proxy.upstream.circuit import Gate
from proxy.upstream.http1 import errors
from proxy.upstream.http1.callers import caller_of
from proxy.upstream.http1.connection import Connection
from proxy.upstream.http1.errors import BadAnswer, Cut, NoRoom, NotConnected
from proxy.upstream.http1.exchange import answered
from proxy.upstream.http1.pool import Pool
from proxy.upstream.http1.upstream_pool import open_pool
from proxy.upstream.legacy.legacy_list import as_own_call, read_list
from proxy.upstream.legacy.raw import RawAnswer, RawRequest
from proxy.upstream.legacy.wire import Informed, Wire, cut, garbage, too_slow
from proxy.upstream.trace_context import Carry
from proxy.values import Json

__all__ = ["Michiq", "RawAnswer", "RawRequest", "open_michiq"]

NAME: Final = "legacy"
ENCOUNTERS_SECONDS: Final = 15.0
CONNECT_SECONDS: Final = 5.0

# Only these methods are logged: HTTP allows any token as a method, also a secret.
_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_ENCOUNTERS: Final = "/michiQ/encounters"
_TRACE_FIELDS: Final = frozenset({b"traceparent", b"tracestate"})


class Michiq:
    """A client of one legacy server, made by `open_michiq`; `carry` None adds no trace context."""

    def __init__(
        self, base_url: str, pool: Pool, gate: Gate, on_call: OnCall, carry: Carry | None = None
    ) -> None:
        parts = urlsplit(base_url)
        self._authority = parts.netloc.encode("ascii")
        self._path = parts.path.rstrip("/").encode("ascii")
        self._pool = pool
        self.gate = gate
        self._on_call = on_call
        self._carry = carry

    @asynccontextmanager
    async def exchange(
        self, request: RawRequest, *, seconds: float, informed: Informed | None = None, path: str = "unknown"
    ) -> AsyncIterator[RawAnswer]:
        """Sends a request and yields the answer; its body is read inside the block.

        A block that ends early closes the connection. `informed` gets each 1xx with its headers, unchanged.
        `path` is a template, for the log. Raises UpstreamError of the kinds legacy_unreachable and
        legacy_timeout; the answer's `chunks` raise it too. A request is sent again only if it is repeatable
        and its idle connection turned out to be closed.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        request, span_id = self._traced(request)
        status: int | None = None
        cause: str | None = f"{NAME}-cancelled"
        try:
            # Any answer that is passed on shows that the server works, whatever its status.
            with self.gate.passage():
                wire, connection = await self._begun(request, seconds, informed)
                try:
                    answer = wire.answer()
                    status = answer.status
                    yield answer
                finally:
                    await wire.close()
                    self._pool.release(connection)
            cause = None
        except UpstreamError as error:
            cause = error.cause
            raise
        finally:
            milliseconds = (loop.time() - started) * 1000
            method = _METHODS.get(request.method, "other")
            self._on_call(CallRecord(NAME, method, path, status, cause, milliseconds, span_id))

    def _traced(self, request: RawRequest) -> tuple[RawRequest, str | None]:
        """Returns the request with the trace context, and the id of its span.

        A client's own `traceparent` goes on as it came: here, unchanged bytes matter more than the trace.
        """
        if self._carry is None or any(name.lower() in _TRACE_FIELDS for name, _ in request.headers):
            return request, None
        fields, span_id = self._carry()
        pairs = [(name.encode(), value.encode()) for name, value in fields.items()]
        return replace(request, headers=(*request.headers, *pairs)), span_id

    async def _begun(
        self, request: RawRequest, seconds: float, informed: Informed | None
    ) -> tuple[Wire, Connection]:
        """Returns an exchange whose answer has begun. Raises UpstreamError, and the body's errors."""
        head = request.head(self._path, self._authority)
        wires: list[Wire] = []

        async def ask(connection: Connection) -> None:
            wires.append(wire := Wire(connection, request, head, seconds, informed))
            await wire.ask()

        try:
            connection = await answered(
                self._pool, request.caller, ask, CONNECT_SECONDS, repeatable=request.repeatable
            )
        except NotConnected as error:
            failure = _unreachable(error)
        except NoRoom:
            failure = UpstreamError("legacy_unreachable", f"{NAME}-busy", arrived=False)
        except TimeoutError:
            failure = too_slow()
        except BadAnswer:
            failure = garbage()
        except Cut:
            failure = cut()
        else:
            return wires[-1], connection
        # Raised outside the handler, so that the other error does not become its context.
        raise failure

    async def encounters(self, token: str) -> list[dict[str, Json]]:
        """Returns the user's own list on the legacy server (CONTRACT L03); `token` is one of that server's.

        Raises UpstreamError: upstream_unauthorized, upstream_timeout, else upstream_failed.
        """
        failure = UpstreamError("upstream_timeout", f"{NAME}-timeout", arrived=True, broken=True)
        try:
            async with asyncio.timeout(ENCOUNTERS_SECONDS):
                return await self._list(token)
        except TimeoutError:
            pass
        except UpstreamError as error:
            failure = as_own_call(error)
        # Raised outside the handler, so that the other error does not become its context.
        raise failure

    async def _list(self, token: str) -> list[dict[str, Json]]:
        headers = (
            (b"Host", self._authority),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"Authorization", b"Bearer " + token.encode("ascii")),
            (b"User-Agent", b"michiq-proxy"),
        )
        request = RawRequest(b"GET", _ENCOUNTERS.encode(), headers, caller=caller_of(headers))
        async with self.exchange(request, seconds=ENCOUNTERS_SECONDS, path=_ENCOUNTERS) as answer:
            if error := failures.of_status(NAME, answer.status):
                raise error
            try:
                return await read_list(answer)
            except failures.FOREIGN as foreign:
                failure = failures.of_error(NAME, foreign, arrived=True)
            raise failure


@asynccontextmanager
async def open_michiq(
    base_url: str,
    on_call: OnCall,
    monotonic: Callable[[], float] = time.monotonic,
    trust: ssl.SSLContext | None = None,
    *,
    proxy: OutboundProxy | None = None,
    spares: int = 0,
    carry: Carry | None = None,
) -> AsyncIterator[Michiq]:
    """Opens a client of the server at a base URL that the settings have checked.

    `monotonic` is its breaker's clock. `trust` decides which certificates are accepted; None means the
    system's authorities. `spares` is the number of connections that are opened ahead. `carry` None adds no
    trace context.
    """
    async with open_pool(NAME, base_url, trust, proxy, spares=spares) as pool:
        yield Michiq(base_url, pool, Gate(NAME, monotonic, "legacy_unreachable"), on_call, carry)


def _unreachable(error: NotConnected) -> UpstreamError:
    why = errors.UNREACHABLE if error.why == errors.TIMEOUT else error.why
    cause = f"{NAME}-{why}"
    return UpstreamError(
        "legacy_unreachable", cause, arrived=False, broken=error.broken, hung_up=error.hung_up
    )
