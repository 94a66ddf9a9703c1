"""One upstream: bounded calls to one configured address, answered by a checked value or an UpstreamError."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import aiohttp
from pydantic import BaseModel
from yarl import URL

from proxy import jsons
from proxy.errors import UpstreamError
from proxy.headers import media_type
from proxy.upstream import failures
from proxy.upstream.call import ID_PATTERN, Budget, Call, CallRecord, OnCall
from proxy.upstream.connection import Attempt, StaleConnection, open_session
from proxy.values import Content

M = TypeVar("M", bound=BaseModel)

MAX_ANSWER: Final = 1024 * 1024
POOL_WAIT_SECONDS: Final = 1.0
CONNECTIONS: Final = 32

_ID: Final = re.compile(ID_PATTERN)


class Upstream:
    """Calls to one base address; `name` begins every cause code. Made by `open_upstream`."""

    def __init__(self, name: str, base: URL, session: aiohttp.ClientSession, on_call: OnCall) -> None:
        self._name = name
        self._base = base
        self._session = session
        self._on_call = on_call
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def fetch(self, call: Call, model: type[M]) -> M:
        """The 2xx JSON answer to a call, as `model` (validated strictly); reported to `on_call`.

        Raises UpstreamError, and nothing else of aiohttp's, JSON's or pydantic's (CONTRACT G08, X03).
        """
        attempt = Attempt()
        started = asyncio.get_running_loop().time()
        cause: str | None = f"{self._name}-cancelled"
        try:
            answer = await self._in_a_slot(call, model, attempt)
            cause = None
        except UpstreamError as error:
            cause = error.cause
            raise
        finally:
            milliseconds = (asyncio.get_running_loop().time() - started) * 1000
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
            return await self._past_stale_connections(call, model, attempt)
        except failures.FOREIGN as error:
            failure = failures.of_error(self._name, error, arrived=attempt.sent)
        # Raised out here, where it does not carry the foreign error along as its context.
        raise failure

    async def _past_stale_connections(self, call: Call, model: type[M], attempt: Attempt) -> M:
        """Nothing was sent on a stale one, so this is no second sending; at worst all pooled are stale."""
        for _ in range(CONNECTIONS):
            with suppress(StaleConnection):
                return await self._exchange(call, model, attempt)
        return await self._exchange(call, model, attempt)

    async def _exchange(self, call: Call, model: type[M], attempt: Attempt) -> M:
        """One request and its answer. Any exception inside the block gives the connection up."""
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = call.body.content_type
            headers["Content-Length"] = str(call.body.content.size)
        async with self._session.request(
            call.method,
            _url(self._base, call),
            headers=headers,
            data=None if call.body is None else _exactly(call.body.content),
            allow_redirects=False,
            timeout=_timeout(call.budget),
            trace_request_ctx=attempt,
        ) as response:
            attempt.status = response.status
            if error := failures.of_status(self._name, response.status):
                raise error
            _check_type(response)
            return model.model_validate(jsons.load(await _read(response)), strict=True)


@asynccontextmanager
async def open_upstream(name: str, base_url: str, on_call: OnCall) -> AsyncIterator[Upstream]:
    """An Upstream with a session and a pool of its own, closed at the end of the block."""
    async with open_session(CONNECTIONS) as session:
        yield Upstream(name, URL(base_url), session, on_call)


def _url(base: URL, call: Call) -> URL:
    path = call.path
    if call.id is not None:
        # An id that passes needs no quoting, and can't be one of the dots that climb to another path.
        if not _ID.fullmatch(call.id):
            raise ValueError("an id that CONTRACT G03 does not allow")
        path = path.replace("{id}", call.id)
    return base.with_path(base.raw_path.rstrip("/") + path, encoded=True)


def _timeout(budget: Budget) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=budget.total, connect=budget.connect, sock_read=budget.read)


async def _exactly(content: Content) -> AsyncIterator[bytes]:
    """The bytes of a body, whose length is announced already: any other length ends the connection.

    The upstream would wait for what is missing, or take it from whatever comes next on the connection.
    """
    left = content.size
    async for chunk in content.chunks():
        left -= len(chunk)
        yield chunk
    if left:
        raise ValueError("a content of another length than it said")


def _check_type(response: aiohttp.ClientResponse) -> None:
    kind, _ = media_type(response.headers.get("Content-Type", ""))
    if kind != "application/json" and not kind.endswith("+json"):
        raise failures.Garbage
    if any(
        coding.strip().lower() != "identity" for coding in response.headers.getall("Content-Encoding", ())
    ):
        raise failures.Garbage


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_ANSWER:
        raise failures.Oversized
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            raise failures.Oversized
    return bytes(body)
