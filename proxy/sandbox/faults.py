"""Faults on demand for the next calls, and the middleware that applies them."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ConfigDict, Field

from proxy.sandbox.answers import Refuse

Kind: TypeAlias = Literal[
    "status",
    "html",
    "redirect",
    "cut_before_body",
    "delay",
    "broken_json",
    "wrong_content_type",
    "oversized",
    "truncated",
    "cut_after_body",
    "gzip",
]

OVERSIZE: Final = 2 * 1024 * 1024  # twice what any client of these APIs is meant to accept
CONTROL_PREFIX: Final = "/_sandbox/"


class Fault(BaseModel):
    """A fault of the next `times` calls of `method` (any when None) below `path_prefix`.

    These replace the app's work: `status` (an error in the app's own shape; default 500), `html` (a gateway's
    page; default 200), `redirect` (to `location`; default 307), `cut_before_body`. These come after the
    app's work, and damage only the answer: `broken_json`, `wrong_content_type`, `oversized` (good JSON and
    2 MiB of blanks), `truncated` (fewer bytes than announced), `cut_after_body` (no answer at all), `gzip`
    (compressed, asked for or not). Each of them waits `delay` seconds first; `delay` only waits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    path_prefix: str = "/"
    method: str | None = None
    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    delay: Annotated[float, Field(ge=0, le=3600)] = 0.0
    location: str = "https://elsewhere.invalid/"

    def matches(self, method: str, path: str) -> bool:
        return path.startswith(self.path_prefix) and self.method in (None, method)


class Faults:
    """The faults that are still to come, oldest first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    @property
    def pending(self) -> tuple[Fault, ...]:
        return tuple(self._pending)

    def add(self, fault: Fault) -> None:
        self._pending.append(fault)

    def clear(self) -> None:
        self._pending.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Returns the first fault that fits this call, and uses it up by one."""
        for index, fault in enumerate(self._pending):
            if fault.matches(method, path):
                left = fault.times - 1
                self._pending[index : index + 1] = [fault.model_copy(update={"times": left})] if left else []
                return fault
        return None


def middleware(faults: Faults, refuse: Refuse) -> Middleware:
    """Applies `faults` to every call but the sandbox's own paths; `refuse` gives an error its shape."""

    @web.middleware
    async def applied(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        fault = faults.take(request.method, request.path)
        if fault is None:
            return await handler(request)
        await asyncio.sleep(fault.delay)
        if fault.kind == "cut_before_body":
            return _cut(request)
        if fault.kind in ("status", "html", "redirect"):
            await _drain(request)
            return _instead(fault, refuse)
        return await _spoiled(fault, request, await handler(request))

    return applied


async def _drain(request: web.Request) -> None:
    async with asyncio.timeout(60):
        while await request.content.readany():
            pass


def _instead(fault: Fault, refuse: Refuse) -> web.Response:
    if fault.kind == "redirect":
        return web.Response(status=fault.status or 307, headers={"Location": fault.location})
    if fault.kind == "html":
        page = "<html><body><h1>Bad gateway</h1></body></html>"
        return web.Response(status=fault.status or 200, text=page, content_type="text/html")
    return refuse(fault.status or 500, "Fault on demand")


async def _spoiled(fault: Fault, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    spoil = _SPOILERS.get(fault.kind)
    if spoil is None or not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return answer
    return await spoil(request, answer, answer.body)


async def _broken_json(_: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    return web.Response(status=answer.status, body=body[:-1], headers=_type_of(answer))


async def _wrong_content_type(_: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    return web.Response(status=answer.status, body=body, content_type="application/octet-stream")


async def _oversized(_: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    return web.Response(status=answer.status, body=body + b" " * OVERSIZE, headers=_type_of(answer))


async def _truncated(request: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    short = web.StreamResponse(status=answer.status, headers=_type_of(answer))
    short.content_length = len(body) + 100
    await short.prepare(request)
    await short.write(body)
    if request.transport is not None:
        request.transport.close()  # not abort: the written bytes must still arrive
    return short


async def _cut_after_body(request: web.Request, _: web.Response, __: bytes) -> web.StreamResponse:
    return _cut(request)


async def _gzip(_: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
    headers = {**_type_of(answer), "Content-Encoding": "gzip"}
    return web.Response(status=answer.status, body=gzip.compress(body, mtime=0), headers=headers)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # never seen: aiohttp finds the transport closed


def _type_of(answer: web.Response) -> dict[str, str]:
    return {"Content-Type": answer.headers.get("Content-Type", "application/json")}


_Spoiler: TypeAlias = Callable[[web.Request, web.Response, bytes], Awaitable[web.StreamResponse]]
_SPOILERS: Final[dict[Kind, _Spoiler]] = {
    "broken_json": _broken_json,
    "wrong_content_type": _wrong_content_type,
    "oversized": _oversized,
    "truncated": _truncated,
    "cut_after_body": _cut_after_body,
    "gzip": _gzip,
}
