"""Where an app listens, and how it stops: on sockets that others may share, so that no request is lost."""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from itertools import product
from typing import Any, Final, cast

from aiohttp import web

from proxy.addresses import Address, overlap
from proxy.headers import HeaderFields
from proxy.web.connection import QuietHandler
from proxy.web.protocol import QuietRunner
from proxy.web.tls import Tls

_BACKLOG: Final = 1024
# An address of a family, or of an interface, that this machine doesn't have.
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_HANDSHAKE_SECONDS: Final = 10.0  # as for the head of a request
_GOODBYE_SECONDS: Final = 2.0  # for the client's part in the end of a TLS connection
_CUT_OFF_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.02


class CantListen(Exception):
    """An address can't be listened on; the text names it and its setting, and is fit for the operator."""


def open_sockets(setting: str, *addresses: Address) -> list[socket.socket]:
    """A socket for each address that a host's name stands for, all of a name on one port. Raises CantListen.

    They are bound and not yet listened on: nobody connects before there is somebody to answer.
    """
    sockets: list[socket.socket] = []
    # Where IPv4 has a socket of its own, the one for IPv6 leaves it alone.
    apart = {each.port for each in addresses if each.host == "0.0.0.0"}  # noqa: S104
    for address in addresses:
        try:
            sockets += _opened(address, both=address.host == "::" and address.port not in apart)
        except OSError as error:
            close(sockets)
            raise CantListen(f"{setting}: can't listen on {address}: {error.strerror or error}") from None
    return sockets


def keep_apart(one: str, sockets: Sequence[socket.socket], other: str, more: Sequence[socket.socket]) -> None:
    """Raises CantListen where a socket of one setting is on an address of another setting's."""
    for address, taken in product(map(_address, sockets), map(_address, more)):
        if overlap(address, taken):
            raise CantListen(f"{one} and {other} are both on {address}: give each its own port")


def _address(one: socket.socket) -> Address:
    return Address(*one.getsockname()[:2])


def _opened(address: Address, *, both: bool) -> list[socket.socket]:
    """A socket for each of a host's addresses that this machine has; OSError where none, or one is taken.

    `localhost` may name ::1 on a machine without IPv6. `both` is for `[::]`, which has IPv4 connections, too.
    """
    sockets: list[socket.socket] = []
    missing, port = None, address.port
    for family, place in _places(address, both=both):
        try:
            sockets.append(_bound(family, (place[0], port, *place[2:]), both=both))
            port = sockets[-1].getsockname()[1]
        except OSError as error:
            if error.errno not in _NOT_HERE:
                close(sockets)
                raise
            missing = error
        else:
            if both:
                break
    if missing is not None and not sockets:
        raise missing
    return sockets


def _places(address: Address, *, both: bool) -> list[tuple[int, tuple[Any, ...]]]:
    hosts = ("::", "0.0.0.0") if both else (address.host,)  # noqa: S104
    look_up = partial(socket.getaddrinfo, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found = [each for host in hosts for each in look_up(host, address.port)]
    return list(dict.fromkeys((int(family), place) for family, *_, place in found))


def close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()


def url_of(sockets: Sequence[socket.socket], tls: Tls | None) -> str:
    return f"{'https' if tls else 'http'}://{_address(sockets[0])}"


def _bound(family: int, place: tuple[object, ...], *, both: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    with ExitStack() as on_failure:
        on_failure.callback(one.close)
        one.settimeout(0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        one.bind(place)
        on_failure.pop_all()
    return one


def _listen(setting: str, one: socket.socket) -> None:
    """Bound does not mean alone: with SO_REUSEADDR two may be bound, and only the first one can listen.

    uvloop doesn't tell the second one.
    """
    try:
        one.listen(_BACKLOG)
    except OSError as error:
        raise CantListen(f"{setting}: can't listen on {_address(one)}: {error.strerror or error}") from None


class Listener:
    """One app on its sockets. `leaving` makes every answer the last one of its connection."""

    def __init__(self, runner: QuietRunner) -> None:
        self.leaving = False
        self._runner = runner
        self._servers: list[asyncio.Server] = []

    async def open(self, setting: str, sockets: Sequence[socket.socket], tls: Tls | None = None) -> None:
        """Serves on the sockets of a setting. Raises CantListen where somebody else was quicker."""
        for each in sockets:
            _listen(setting, each)
        await self._runner.setup()
        server = cast(web.Server, self._runner.server)
        server.request_factory = partial(self._runner.app._make_request, _cls=_requests_of(self))
        create = partial(asyncio.get_running_loop().create_server, server, backlog=_BACKLOG)
        if tls is not None:
            create = partial(
                create,
                ssl=tls.context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_GOODBYE_SECONDS,
            )
        for each in sockets:
            self._servers.append(await create(sock=each))

    def stop_accepting(self) -> None:
        """Closes this process's own hold of the sockets: who shares them goes on."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def quiet(self, until: float) -> None:
        """Returns when no request is under way, and at the latest at this time of the loop's."""
        await self._until(lambda: all(each.idle for each in self._connections()), until)

    async def leave(self, until: float, linger: float = 0.0) -> None:
        """Accepts no more, and returns when the last connection has ended.

        A connection without a request ends with the next one's answer, or after `linger` seconds: only a
        client that has not said anything by then learns of it by the connection's end. What has not been
        answered by `until` is cut off.
        """
        self.leaving = True
        self.stop_accepting()
        loop = asyncio.get_running_loop()
        await self._until(lambda: not self._connections(), min(until, loop.time() + linger))
        for each in self._connections():
            if each.idle:
                each.force_close()
        await self._until(lambda: not self._connections(), until)
        self._runner._shutdown_timeout = _CUT_OFF_SECONDS
        await self._runner.cleanup()

    def _connections(self) -> list[QuietHandler]:
        server = self._runner.server
        return [] if server is None else [cast(QuietHandler, each) for each in server.connections]

    async def _until(self, holds: Callable[[], bool], until: float) -> None:
        loop = asyncio.get_running_loop()
        while not holds() and loop.time() < until:  # noqa: ASYNC110  aiohttp sets no event
            await asyncio.sleep(_POLL_SECONDS)


def _requests_of(listener: Listener) -> type[web.Request]:
    class Request(web.Request):
        """A request that knows, when it is answered, whether another one may follow."""

        @property
        def is_leaving(self) -> bool:
            """Whether the process is about to end: nobody is waited for as long as before."""
            return listener.leaving

        @cached_property
        def raw_headers(self) -> HeaderFields:
            """The fields, whose names in lower case are found once for all that look at them."""
            return HeaderFields(self._message.raw_headers)

        @property
        def keep_alive(self) -> bool:
            return not self._message.should_close and not listener.leaving

    return Request
