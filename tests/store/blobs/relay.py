"""A server in front of the S3 store that fails on purpose: each fault is for the next call of its kind."""

import asyncio
from collections import defaultdict
from typing import Any, Final, TypeAlias

import aiohttp
from aiohttp import web
from yarl import URL

Fault: TypeAlias = Any

HOP: Final = frozenset({"connection", "transfer-encoding", "keep-alive"})
TORN_AT: Final = 100_000


class Relay:
    """A relay whose faults are statuses with an error's code, "cut", "lost", "torn" or "held".

    cut: the connection ends before the store sees the call. lost: the call is made, its answer is dropped.
    torn: the answer ends in its middle. held: nothing happens until `release`.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.seen: list[str] = []
        self.held = asyncio.Event()
        self.release = asyncio.Event()

    @property
    def app(self) -> web.Application:
        app = web.Application(client_max_size=10**9)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        kind = kind_of(request)
        fault = self.faults[kind].pop(0) if self.faults[kind] else None
        self.seen.append(kind)
        if fault == "held":
            self.held.set()
            await self.release.wait()
        body = await request.read()
        if isinstance(fault, tuple):
            return _error(*fault)
        if fault == "cut":
            return _closed(request)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
            url = URL(f"{self.endpoint}{request.raw_path}", encoded=True)
            async with session.request(request.method, url, headers=headers, data=body or None) as answer:
                content = await answer.read()
        if fault == "lost":
            return _closed(request)
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(content[:TORN_AT] if fault == "torn" else content)
        return _closed(request) if fault == "torn" else response


def kind_of(request: web.Request) -> str:
    """Returns the name of a call."""
    query, method = request.query, request.method
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[method]
    if "uploads" in query:
        return {"POST": "begin", "GET": "uploads"}[method]
    return "list" if "list-type" in query else method.lower()


def _error(status: int, code: str) -> web.Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a canary of the store</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def _closed(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()
