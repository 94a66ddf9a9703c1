"""Calls an S3 bucket: signed requests with time limits, each retried with a fresh body."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
from aiohttp_s3_client import S3Client

from proxy.outbound_proxy import OutboundProxy
from proxy.store.blobs.s3_errors import BROKEN, S3Error, of_answer, of_break

# Seconds before the second, third and fourth try; each is made longer by chance, so that replicas part.
_WAITS: Final = (0.2, 0.8, 3.2)
_TRY_SECONDS: Final = 60.0  # a part of 5 MiB at 90 KB/s
_ALL_SECONDS: Final = 120.0
_READ_SECONDS: Final = 30.0
_MOST_BYTES: Final = 8 * 1024 * 1024  # of an answer: a page has at most 1,000 names


class Body(Protocol):
    """A request's body, which can be read again for each try; `sha256` is in hex."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class S3Answer:
    """The whole answer to a call."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Body | bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class S3Calls:
    """The calls to one bucket. `chance` is from 0 to 1; every call raises S3Error when no try succeeds."""

    client: S3Client = field(repr=False)
    proxy: OutboundProxy | None
    chance: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]

    async def call(
        self,
        method: str,
        path: str = "",
        params: Mapping[str, str] | None = None,
        body: Body | bytes = b"",
        *,
        fine: Collection[int] = (200,),
        tries: int = len(_WAITS) + 1,
    ) -> S3Answer:
        """Returns an answer of one of the `fine` statuses that holds no error."""
        try:
            async with asyncio.timeout(_ALL_SECONDS):
                return await self._repeated(_Call(method, path, params, body), fine, tries)
        except TimeoutError as error:
            failure = of_break(error)
        raise failure

    async def wait(self, failures: int) -> None:
        """Waits before the next try, after so many failures."""
        await self.pause(_WAITS[min(failures, len(_WAITS)) - 1] * (1 + self.chance()))

    @asynccontextmanager
    async def reading(self, path: str, start: int) -> AsyncIterator["S3Reading"]:
        """Gives the object's bytes from `start` on, as they come. Raises S3Error; nothing is retried here."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                response = await self._request(_Call("GET", path), start)
        except BROKEN as error:
            failure = of_break(error)
        else:
            async with response:
                if response.status == (206 if start else 200) and response.content_length is not None:
                    yield S3Reading(response.content_length, response.content)
                    return
                failure = of_answer(response.status, await _error_of(response))
        raise failure

    async def _repeated(self, call: _Call, fine: Collection[int], tries: int) -> S3Answer:
        failures = 0
        while isinstance(found := await self._tried(call, fine), S3Error):
            failures += 1
            if not found.again or failures >= tries:
                raise found
            await self.wait(failures)
        return found

    async def _tried(self, call: _Call, fine: Collection[int]) -> S3Answer | S3Error:
        try:
            async with asyncio.timeout(_TRY_SECONDS), await self._request(call) as response:
                content = await _whole(response)
        except BROKEN as error:
            return of_break(error)
        # A store that works long on a call says 200 at once, and its error in the end.
        if response.status in fine and b"<Error>" not in content[:1024]:
            return S3Answer(response.status, response.headers, content)
        return of_answer(response.status, content)

    def _request(self, call: _Call, start: int = 0) -> Awaitable[aiohttp.ClientResponse]:
        body = call.body
        return self.client.request(
            call.method,
            call.path,
            headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {}),
            params=dict(call.params) if call.params else None,
            data=body if call.method in {"POST", "PUT"} else None,
            data_length=None if isinstance(body, bytes) else body.size,
            content_sha256=hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else body.sha256,
            allow_redirects=False,
            **self._through_proxy(),
        )

    def _through_proxy(self) -> dict[str, Any]:
        url, proxy = self.client.url, self.proxy
        if proxy is None or not proxy.is_for(url.host or "", tls=url.scheme == "https"):
            return {}
        given = {"Proxy-Authorization": proxy.authorization.decode()} if proxy.authorization else {}
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        return {"proxy": f"http://{host}:{proxy.port}", "proxy_headers": given}


@dataclass(frozen=True, slots=True)
class S3Reading:
    """The bytes of an object that still come."""

    size: int
    content: aiohttp.StreamReader = field(repr=False)

    async def exactly(self, size: int) -> bytes:
        """Returns the next bytes. Raises S3Error when they don't come."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await self.content.readexactly(size)
        except (*BROKEN, asyncio.IncompleteReadError) as error:
            failure = of_break(error)
        raise failure


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _MOST_BYTES:
            raise aiohttp.ClientPayloadError("too large")
    return bytes(content)


async def _error_of(response: aiohttp.ClientResponse) -> bytes:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await response.content.read(4096)
    except BROKEN:
        return b""
