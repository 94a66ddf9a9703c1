"""One upstream: bounded calls to one configured address, answered by a checked value or an UpstreamError."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import aiohttp
from yarl import URL

from proxy import jsons
from proxy.errors import UpstreamError
from proxy.upstream import failures
from proxy.upstream.answer import read_json
from proxy.upstream.call import Call, CallRecord, M, OnCall
from proxy.upstream.connection import Attempt, open_session
from proxy.upstream.gate import Gate
from proxy.upstream.request import exactly, timeout_of, url_of
from proxy.upstream.retries import Retries

POOL_WAIT_SECONDS: Final = 0.9  # a second, with what it takes to notice
CONNECTIONS: Final = 32


class Upstream:
    """Calls to one base address; `name` begins every cause code. Made by `open_upstream`."""

    def __init__(
        self, name: str, base: URL, session: aiohttp.ClientSession, on_call: OnCall, gate: Gate
    ) -> None:
        self.gate: Final = gate
        self._name = name
        self._base = base
        self._session = session
        self._on_call = on_call
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._retries = Retries()

    async def fetch(self, call: Call, model: type[M]) -> M:
        """The 2xx JSON answer to a call, as `model` (validated strictly); each try is reported to `on_call`.

        Raises UpstreamError, and nothing else of aiohttp's, JSON's or pydantic's (CONTRACT G08, X03). A GET
        whose connection is lost is tried once more, in what is left of its time; anything else never is.
        """
        started = _now()
        self._retries.earn()
        with self.gate.passage() as probing:
            try:
                return await self._reported(call, model)
            except UpstreamError as error:
                repeatable = call.method == "GET" and failures.is_hung_up(error) and not probing
                if not (repeatable and self._retries.spend()):
                    raise
            left = replace(call.budget, total=started + call.budget.total - _now())
            return await self._reported(replace(call, budget=left), model)

    async def _reported(self, call: Call, model: type[M]) -> M:
        attempt = Attempt()
        started = _now()
        cause: str | None = f"{self._name}-cancelled"
        try:
            answer = await self._in_a_slot(call, model, attempt)
            cause = None
        except UpstreamError as error:
            cause = error.cause
            raise
        finally:
            milliseconds = (_now() - started) * 1000
            self._on_call(CallRecord(self._name, call.method, call.path, attempt.status, cause, milliseconds))
        return answer

    async def _in_a_slot(self, call: Call, model: type[M], attempt: Attempt) -> M:
        """Waits for one of the connections, and not for long: a queue here is a queue of users."""
        try:
            async with asyncio.timeout(POOL_WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise failures.of_full_pool(self._name) from None
        try:
            return await self._with_one_kind_of_error(call, model, attempt)
        finally:
            self._slots.release()

    async def _with_one_kind_of_error(self, call: Call, model: type[M], attempt: Attempt) -> M:
        try:
            return await self._exchange(call, model, attempt)
        except failures.FOREIGN as error:
            failure = failures.of_error(self._name, error, arrived=attempt.sent)
        # Raised out here, where it does not carry the foreign error along as its context.
        raise failure

    async def _exchange(self, call: Call, model: type[M], attempt: Attempt) -> M:
        """One request and its answer."""
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = call.body.content_type
            headers["Content-Length"] = str(call.body.content.size)
        async with self._session.request(
            call.method,
            url_of(self._base, call),
            headers=headers,
            data=None if call.body is None else exactly(call.body.content),
            allow_redirects=False,
            timeout=timeout_of(call.budget),
            trace_request_ctx=attempt,
        ) as response:
            attempt.status = response.status
            if error := failures.of_status(self._name, response.status):
                raise error
            value = jsons.load(await read_json(response), rules=jsons.ANSWER)
            return model.model_validate(value, strict=True)


@asynccontextmanager
async def open_upstream(
    name: str,
    base_url: str,
    on_call: OnCall,
    monotonic: Callable[[], float] = time.monotonic,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Upstream]:
    """An Upstream with a session and a pool of its own, closed at the end of the block.

    `monotonic` is the breaker's clock; `trust` None accepts the system's authorities.
    """
    async with open_session(CONNECTIONS, trust) as session:
        yield Upstream(name, URL(base_url), session, on_call, Gate(name, monotonic))


def _now() -> float:
    return asyncio.get_running_loop().time()
