"""Gives aiohttp's private names public ones; the start checks that the installed release has them.

aiohttp promises nothing about these names, so pyproject.toml allows one minor release only. Each stands here
because no public name does the same.
"""

from abc import ABC, abstractmethod
from asyncio import Transport
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import HttpVersion, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from yarl import URL

NAMES: Final[Mapping[type, tuple[str, ...]]] = {
    RequestHandler: (
        "_request_count",
        "_messages",
        "_manager",
        "_reading_paused",
        "_buffer_paused",
        "_current_request",
        "_force_close",
        "_lingering_time",
    ),
    web.BaseRequest: ("_cache", "_state", "_message"),
    web.StreamResponse: ("_start", "_req", "_payload_writer", "_keep_alive", "_must_be_empty_body"),
    web.Server: ("_kwargs", "_loop"),
    web.Application: ("_router", "_make_request"),
    web.AppRunner: ("_make_server", "_shutdown_timeout"),
}


class UnfitAiohttp(Exception):
    """The installed aiohttp lacks private names that the proxy uses; the text has them, for the operator."""


def check_names(names: Mapping[type, Iterable[str]] = NAMES) -> None:
    """Raises UnfitAiohttp if the installed aiohttp lacks one of the names."""
    missing = [
        f"{owner.__name__}.{name}" for owner, own in names.items() for name in own if not _has(owner, name)
    ]
    if missing:
        raise UnfitAiohttp(
            f"this aiohttp doesn't fit: it has no {', '.join(missing)}; install the locked release"
        )


def _has(owner: type, name: str) -> bool:
    """Returns whether a class has the name, or an `__init__` of it sets it."""
    makers = (vars(each).get("__init__") for each in owner.__mro__)
    codes = (getattr(maker, "__code__", None) for maker in makers)
    return hasattr(owner, name) or any(code is not None and name in code.co_names for code in codes)


class OpenHandler(RequestHandler):
    """aiohttp's connection, with the parts that decide about its client."""

    __slots__ = ()

    @property
    def requests_read(self) -> int:
        """Returns the number of requests whose heads are complete, unreadable ones included."""
        return self._request_count

    @property
    def newest_request(self) -> tuple[object, StreamReader]:
        """Returns the newest head, or the error in its place, and its body, until a task answers it."""
        return self._messages[-1]

    @property
    def holds_client(self) -> bool:
        """Returns whether aiohttp reads no more from the client for now."""
        return self._reading_paused or self._buffer_paused

    @property
    def is_closing(self) -> bool:
        return self._force_close

    @property
    def request_in_progress(self) -> web.BaseRequest | None:
        return self._current_request

    def register(self, transport: Transport) -> None:
        """Enters the connection in the server's list without anything else that a new one begins."""
        if self._manager is not None:
            self._manager.connection_made(self, transport)

    def end_lingering(self) -> None:
        """Makes aiohttp close after the answer without reading the rest of the body."""
        self._lingering_time = 0.0


class OpenRunner(web.AppRunner, ABC):
    """A runner of an application on a server of ours."""

    @abstractmethod
    def server_for(self, made: web.Server) -> web.Server:
        """Returns the server that is used in the place of aiohttp's own."""

    def end_within(self, seconds: float) -> None:
        """Gives connections so long at `cleanup`, whatever the runner was made with."""
        self._shutdown_timeout = seconds

    async def _make_server(self) -> web.Server:
        return self.server_for(await super()._make_server())


class OpenResponse(web.StreamResponse, ABC):
    """An answer whose head is written by `begin`, byte for byte."""

    @abstractmethod
    async def begin(self, request: web.BaseRequest, writer: AbstractStreamWriter) -> None:
        """Writes the head; `stays_open` must say by then whether the connection goes on."""

    @property
    def stays_open(self) -> bool | None:
        """Returns whether the connection goes on; None where that is the request's choice."""
        return self._keep_alive

    @stays_open.setter
    def stays_open(self, stays: bool) -> None:
        self._keep_alive = stays

    @property
    def has_no_body(self) -> bool:
        """Returns whether HTTP allows no body: to HEAD, and by the status."""
        return bool(self._must_be_empty_body)

    async def _start(self, request: web.BaseRequest) -> AbstractStreamWriter:
        self._req = request
        writer = self._payload_writer = request.writer
        await self.begin(request, writer)
        return writer


def handler_options(server: web.Server) -> dict[str, Any]:
    """Returns what a server makes its connections with."""
    return {"loop": server._loop, **server._kwargs}


def use_router(app: web.Application, router: web.UrlDispatcher) -> None:
    """Replaces the router; as an argument of the application it is deprecated."""
    app._router = router


def requests_of(app: web.Application, kind: type[web.Request]) -> Callable[..., web.Request]:
    """Returns the factory of an application's requests, of this class."""
    return partial(app._make_request, _cls=kind)


def message_of(request: web.BaseRequest) -> RawRequestMessage:
    """Returns the head of a request as the parser gave it."""
    return request._message


def set_version(request: web.BaseRequest, version: HttpVersion) -> None:
    """Sets the version that the answer goes by; aiohttp would answer an odd one in kind."""
    request._cache["version"] = version


def set_url(request: web.BaseRequest, url: URL) -> None:
    """Sets the URL that routing goes by."""
    request._cache["rel_url"] = url


def forget(request: web.BaseRequest) -> None:
    """Drops all that was noted on a request; aiohttp keeps a connection's last one until the next comes."""
    request._state.clear()
    request._cache.clear()
