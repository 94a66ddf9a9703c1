"""The client of one upstream: limited calls, each answered by a checked value or an UpstreamError."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, cast

from proxy import jsons
from proxy.errors import UpstreamError
from proxy.outbound_proxy import OutboundProxy
from proxy.upstream import failures
from proxy.upstream.answer import read_json
from proxy.upstream.call import Call, CallRecord, M, OnCall
from proxy.upstream.circuit import Gate
from proxy.upstream.http1.answer_reader import AnswerReader
from proxy.upstream.http1.errors import NoRoom, NotConnected
from proxy.upstream.http1.pool import Pool
from proxy.upstream.http1.upstream_pool import open_pool
from proxy.upstream.request import Heads
from proxy.upstream.sending import Attempt, begun
from proxy.upstream.trace_context import Carry

# Together with the initial credit, at most a fifth of the calls is repeated once there were ten.
_RETRY_SHARE: Final = 0.1
_MOST_RETRIES: Final = 10.0


class Retries:
    """A retry budget, so that retries never overload an upstream.

    Every call earns a share of a retry, and the saved credit is limited.
    """

    def __init__(self) -> None:
        self._credit = 1.0

    def earn(self) -> None:
        self._credit = min(_MOST_RETRIES, self._credit + _RETRY_SHARE)

    def spend(self) -> bool:
        """Returns whether one more retry is allowed, and if so spends its credit."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


class Upstream:
    """A client of one base address, made by `open_upstream`; `name` begins every cause code.

    `carry` None sends no trace context.
    """

    def __init__(
        self, name: str, heads: Heads, pool: Pool, on_call: OnCall, gate: Gate, carry: Carry | None = None
    ) -> None:
        self.gate = gate
        self._name = name
        self._heads = heads
        self._pool = pool
        self._on_call = on_call
        self._carry = carry
        self._retries = Retries()

    async def fetch(self, call: Call, model: type[M]) -> M:
        """Returns the 2xx JSON answer to a call as `model`, strictly validated.

        `on_call` gets a record of each try. Raises UpstreamError, and no error of HTTP, JSON or pydantic
        (CONTRACT G08, X03). A GET whose connection is lost is tried once more, in the rest of its time. No
        other call is ever repeated.
        """
        started = _now()
        self._retries.earn()
        with self.gate.passage() as probing:
            try:
                return await self._reported(call, model)
            except UpstreamError as error:
                repeatable = call.method == "GET" and error.hung_up and not probing
                if not (repeatable and self._retries.spend()):
                    raise
            left = replace(call.budget, total=started + call.budget.total - _now())
            return await self._reported(replace(call, budget=left), model)

    async def _reported(self, call: Call, model: type[M]) -> M:
        attempt = Attempt()
        span_id: str | None = None
        if self._carry is not None:
            fields, span_id = self._carry()
            call = replace(call, headers={**call.headers, **fields})
        started = _now()
        cause: str | None = f"{self._name}-cancelled"
        try:
            answer = await self._with_one_kind_of_error(call, model, attempt)
            cause = None
        except UpstreamError as error:
            cause = error.cause
            raise
        finally:
            milliseconds = (_now() - started) * 1000
            self._on_call(
                CallRecord(self._name, call.method, call.path, attempt.status, cause, milliseconds, span_id)
            )
        return answer

    async def _with_one_kind_of_error(self, call: Call, model: type[M], attempt: Attempt) -> M:
        try:
            return await self._exchange(call, model, attempt)
        except NotConnected as error:
            failure = failures.of_no_connection(self._name, error)
        except NoRoom:
            failure = failures.of_full_pool(self._name)
        except failures.FOREIGN as error:
            failure = failures.of_error(self._name, error, arrived=attempt.sent)
        # Raised outside the handler, so that the foreign error does not become its context.
        raise failure

    async def _exchange(self, call: Call, model: type[M], attempt: Attempt) -> M:
        """Sends one request and returns its answer."""
        connection = await begun(self._pool, self._heads, call, attempt)
        try:
            reader = cast(AnswerReader, connection.reader)
            attempt.status = reader.status
            if error := failures.of_status(self._name, reader.status):
                raise error
            body = await read_json(connection, reader.headers, call.budget.read)
            return model.model_validate(jsons.load(body, rules=jsons.ANSWER), strict=True)
        except failures.FOREIGN:
            connection.abort()  # after one wrong answer the connection gets no other call
            raise
        finally:
            self._pool.release(connection)


@asynccontextmanager
async def open_upstream(
    name: str,
    base_url: str,
    on_call: OnCall,
    monotonic: Callable[[], float] = time.monotonic,
    trust: ssl.SSLContext | None = None,
    *,
    proxy: OutboundProxy | None = None,
    spares: int = 0,
    carry: Carry | None = None,
) -> AsyncIterator[Upstream]:
    """Opens an Upstream with a pool of its own, closed at the end of the block.

    `monotonic` is the breaker's clock; `trust` None accepts the system's authorities; `spares` is the number
    of connections that are opened ahead; `carry` None sends no trace context.
    """
    async with open_pool(name, base_url, trust, proxy, spares=spares) as pool:
        yield Upstream(name, Heads(base_url), pool, on_call, Gate(name, monotonic), carry)


def _now() -> float:
    return asyncio.get_running_loop().time()
