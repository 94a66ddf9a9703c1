"""Listens for an application, and stops without losing a request; processes may share the sockets."""

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
from proxy.server.aiohttp_private import message_of, requests_of
from proxy.server.connection import QuietHandler
from proxy.server.protocol import QuietRunner
from proxy.server.tls import Tls

_BACKLOG: Final = 1024
# The machine lacks the address's family or interface.
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_HANDSHAKE_SECONDS: Final = 10.0  # the same as for the head of a request
_GOODBYE_SECONDS: Final = 2.0  # for the client to close its side of a TLS connection
_CUT_OFF_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.02


class CantListen(Exception):
    """An unusable address; the error's text names it and its setting, and is written for the operator."""


def open_sockets(setting: str, *addresses: Address) -> list[socket.socket]:
    """Opens a socket for each address of each host; all of a host have one port. Raises CantListen.

    The sockets are bound but do not listen yet: no client connects before the application can answer.
    """
    sockets: list[socket.socket] = []
    # If IPv4 has a socket of its own on the port, the one for IPv6 must not take IPv4 too.
    apart = {each.port for each in addresses if each.host == "0.0.0.0"}  # noqa: S104
    for address in addresses:
        try:
            sockets += _opened(address, both=address.host == "::" and address.port not in apart)
        except OSError as error:
            close(sockets)
            raise CantListen(f"{setting}: can't listen on {address}: {error.strerror or error}") from None
    return sockets


def keep_apart(one: str, sockets: Sequence[socket.socket], other: str, more: Sequence[socket.socket]) -> None:
    """Raises CantListen when sockets of two settings have the same address."""
    for address, taken in product(map(_address, sockets), map(_address, more)):
        if overlap(address, taken):
            raise CantListen(f"{one} and {other} are both on {address}: give each its own port")


def _address(one: socket.socket) -> Address:
    return Address(*one.getsockname()[:2])


def _opened(address: Address, *, both: bool) -> list[socket.socket]:
    """Opens a socket for each of a host's addresses that this machine has.

    Raises OSError when it has none of them, or when one is taken. `localhost` may name ::1 on a machine
    without IPv6. `both` is for `[::]`, whose socket also accepts IPv4 connections.
    """
    sockets: list[socket.socket] = []
    missing, port = None, address.port
    for family, found in _socket_addresses(address, both=both):
        try:
            sockets.append(_bound(family, (found[0], port, *found[2:]), both=both))
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


def _socket_addresses(address: Address, *, both: bool) -> list[tuple[int, tuple[Any, ...]]]:
    hosts = ("::", "0.0.0.0") if both else (address.host,)  # noqa: S104
    look_up = partial(socket.getaddrinfo, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found = [each for host in hosts for each in look_up(host, address.port)]
    return list(dict.fromkeys((int(family), each) for family, *_, each in found))


def close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()


def url_of(sockets: Sequence[socket.socket], tls: Tls | None) -> str:
    return f"{'https' if tls else 'http'}://{_address(sockets[0])}"


def _bound(family: int, address: tuple[object, ...], *, both: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    with ExitStack() as on_failure:
        on_failure.callback(one.close)
        one.settimeout(0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        one.bind(address)
        on_failure.pop_all()
    return one


def _listen(setting: str, one: socket.socket) -> None:
    """Starts listening on a bound socket. Raises CantListen.

    With SO_REUSEADDR two sockets can be bound to one address, but only the first one can listen. uvloop hides
    the error of the second one.
    """
    try:
        one.listen(_BACKLOG)
    except OSError as error:
        raise CantListen(f"{setting}: can't listen on {_address(one)}: {error.strerror or error}") from None


class Listener:
    """An application on its sockets; `leaving` makes every answer the last one of its connection."""

    def __init__(self, runner: QuietRunner) -> None:
        self.leaving = False
        self._runner = runner
        self._servers: list[asyncio.Server] = []

    async def open(self, setting: str, sockets: Sequence[socket.socket], tls: Tls | None = None) -> None:
        """Serves on the sockets of a setting. Raises CantListen when another process listens already."""
        for each in sockets:
            _listen(setting, each)
        await self._runner.setup()
        server = cast(web.Server, self._runner.server)
        server.request_factory = requests_of(self._runner.app, _request_class(self))
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

    @property
    def connections(self) -> int:
        """Returns the number of open connections."""
        return len(self._connections())

    def stop_accepting(self) -> None:
        """Closes this process's copies of the sockets; other processes that share them still accept."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def quiet(self, until: float) -> None:
        """Waits until no request is under way, at the latest until this time of the loop."""
        await self._until(lambda: all(each.idle for each in self._connections()), until)

    async def leave(self, until: float, linger: float = 0.0) -> None:
        """Accepts no more connections, and returns when the last one has ended.

        An idle connection ends with its next answer, or after `linger` seconds: only a client without a
        request by then sees the connection closed. Requests without an answer at `until` are cut off.
        """
        self.leaving = True
        self.stop_accepting()
        loop = asyncio.get_running_loop()
        await self._until(lambda: not self._connections(), min(until, loop.time() + linger))
        for each in self._connections():
            if each.idle:
                each.force_close()
        await self._until(lambda: not self._connections(), until)
        self._runner.end_within(_CUT_OFF_SECONDS)
        await self._runner.cleanup()

    def _connections(self) -> list[QuietHandler]:
        server = self._runner.server
        return [] if server is None else [cast(QuietHandler, each) for each in server.connections]

    async def _until(self, holds: Callable[[], bool], until: float) -> None:
        loop = asyncio.get_running_loop()
        while not holds() and loop.time() < until:  # noqa: ASYNC110  aiohttp sets no event
            await asyncio.sleep(_POLL_SECONDS)


def _request_class(listener: Listener) -> type[web.Request]:
    class Request(web.Request):
        """A request that decides, when it is answered, whether another one may follow."""

        @property
        def is_leaving(self) -> bool:
            """Returns whether the process is about to end: waits are shorter then."""
            return listener.leaving

        @cached_property
        def raw_headers(self) -> HeaderFields:
            """Returns the fields; their names in lower case are computed only once."""
            return HeaderFields(message_of(self).raw_headers)

        @property
        def keep_alive(self) -> bool:
            return not message_of(self).should_close and not listener.leaving

    return Request
