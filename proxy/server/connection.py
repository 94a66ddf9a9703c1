"""aiohttp's RequestHandler, hardened: errors never quote the request, slow clients are disconnected."""

import asyncio
import math
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any, Final, Protocol, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.server.aiohttp_private import OpenHandler, forget
from proxy.server.foreign_protocols import Foreign
from proxy.server.limits import LEAST_RATE, NOTHING, Doors, Limits, Overdue, Ready, Stage, Watch
from proxy.server.request_checks import MAX_HEAD

_LOOKS: Final = 8  # within the time that a client has to take something
_RESET: Final = struct.pack("ii", 1, 0)  # linger for 0 s
_TCP: Final = (socket.AF_INET, socket.AF_INET6)
_ACKED: Final = slice(120, 128)  # tcpi_bytes_acked in Linux's struct tcp_info
_NO_HTTP: Final = b"\0"  # no parser accepts it in a request line


class Host(Protocol):
    """The server, as its connections use it."""

    limits: Limits
    clock: Callable[[], float]
    doors: Doors

    def refusal(self, status: int, reason: str) -> web.Response:
        """Makes the answer to an unreadable or refused request; `reason` is a code for the log."""

    def turned_away(self) -> bytes:
        """Returns the complete answer to a connection that has no room."""


class Gone(asyncio.Event):
    """An event that is set once a client has left.

    `notify`, if it is set, is called with `client-left` then, or with `client-stalled` once the client takes
    no bytes for too long.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notify: Callable[[str], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._taking_by = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        super().set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.notify is not None:
            self.notify("client-left")

    def takes_within(self, seconds: float) -> None:
        """Gives the client `seconds` from now on to take bytes; infinity ends the limit.

        One timer serves all requests of a connection: a new limit leaves it running, and it checks the limit
        when it fires.
        """
        self._taking_by = self._loop.time() + seconds
        if self._timer is None and seconds < math.inf:
            self._timer = self._loop.call_at(self._taking_by, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._taking_by == math.inf:
            return
        if self._taking_by > self._loop.time():
            self._timer = self._loop.call_at(self._taking_by, self._look)
        elif self.notify is not None:
            self.notify("client-stalled")


class QuietHandler(OpenHandler):
    """A connection that never quotes unreadable input, and that `overdue` ends in time.

    aiohttp answers a broken request with the line that it could not read, and logs it; that line may contain
    a key or a token. aiohttp gives a client unlimited time, but none to a client that has closed its sending
    side and waits for the answer. `gone` is set once the client has left.
    """

    __slots__ = (
        "_address",
        "_answered",
        "_ended",
        "_foreign",
        "_gone",
        "_has_left",
        "_head",
        "_host",
        "_last",
        "_length",
        "_refused",
        "_watch",
        "_wire",
    )

    def __init__(self, server: web.Server, host: Host, **options: Any) -> None:
        super().__init__(server, **options)
        now = host.clock()
        self._host = host
        self._watch = Watch(received=now, taken=now, since=now)
        self._foreign = Foreign()
        self._address: str | None = None
        self._wire: asyncio.Transport | None = None
        self._last: StreamReader = EMPTY_PAYLOAD  # the body of the last request
        self._length = 0  # of that body, if its head declares it
        self._head = 0  # bytes of an incomplete head
        self._answered = 0
        self._ended = False
        self._refused = False
        self._has_left = False
        self._gone: Gone | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        address = _peer(transport)
        if self._host.doors.enter(address):
            self._address = address
            super().connection_made(transport)
        elif self._host.doors.begin_refusal():
            # Only the server gets the connection, to end it in time; the rest of aiohttp does not.
            self.register(self._wire)
            self._refuse(self._host.turned_away())
        else:
            self._wire.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._address is not None:
            self._host.doors.leave(self._address)
            self._address = None
        elif self._refused:
            self._host.doors.end_refusal()
        super().connection_lost(exc)
        self._wire = None
        self._leave()

    def data_received(self, data: bytes) -> None:
        left = self._length - self._last.total_bytes
        if left > 0:  # within a body no request can begin
            self._foreign.forget()
            self._take(data[:left])
            if len(data) <= left:
                return
            data = data[left:]
        for piece, is_foreign in self._foreign.cut(data):
            if is_foreign and self._last.is_eof():
                self._take(_NO_HTTP)
                return
            self._take(piece)

    def _take(self, data: bytes) -> None:
        if self._refused:
            return
        known, whole = self.requests_read, self._last.is_eof()
        super().data_received(data)
        self._watch.received = self._host.clock()
        if self.requests_read > known:
            self._came(*self.newest_request)
        elif not whole:
            self._watch.until += len(data) / LEAST_RATE
        elif data.strip(b"\r\n"):
            self._begun(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio uses the result
        """Returns whether our sending side stays open: the client may still wait for the answer.

        A client that has left looks the same, so `gone` is set after a while. TLS connections can't be half
        closed.
        """
        if self._refused or not self._unanswered or self.ssl_context is not None:
            return False
        self._ended = True
        self._loop.call_later(self._host.limits.leaving, self._leave)
        if not self._last.is_eof():
            self._break_body()
        return True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            forget(request)
            self._answered += 1
            if not self._unanswered:
                self._gone = None
            if self._ended and not self._unanswered:
                self.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it quotes the request
    ) -> web.StreamResponse:
        response = self._host.refusal(status, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        return response

    def overdue(self, now: float, *, crowded: bool) -> Overdue | None:
        """Ends the connection if its client has used up its time; returns the reason then."""
        if self._wire is None or (self._wire.is_closing() and not self._wire.get_write_buffer_size()):
            return None
        held, stage = self._wire.get_write_buffer_size(), self._stage()
        # A system call only if its result can matter: while nothing waits here, seldom, for a long answer.
        if held or stage != "busy" or now >= self._watch.look_at:
            self._watch.look(_ready(self._wire, held) if held or stage == "busy" else NOTHING, now)
            self._watch.look_at = now + self._host.limits.taking / _LOOKS
        if self.holds_client or self._is_held_back():
            self._watch.wait(now, self._host.limits)
        why = self._watch.overdue(stage, now, self._host.limits, crowded=crowded)
        if why == "reader":
            _reset(self._wire)
        elif why is not None:
            self.force_close()
            self._wire.close()
        return why

    @property
    def gone(self) -> Gone:
        """Returns the event that is set once the client has left.

        It is made when needed, and dropped after the answer: it is larger than all the rest of an idle
        connection.
        """
        if self._gone is None:
            self._gone = Gone()
            if self._has_left:
                self._gone.set()
        return self._gone

    @property
    def idle(self) -> bool:
        """Returns whether the connection is between two requests, so that closing it loses no answer."""
        return self._stage() == "idle"

    @property
    def _unanswered(self) -> int:
        return self.requests_read - self._answered

    def _leave(self) -> None:
        self._has_left = True
        if self._gone is not None:
            self._gone.set()

    def _stage(self) -> Stage:
        if self.is_closing or self._wire is None or self._wire.is_closing():
            return "busy"
        if self._refused:
            return "refused"
        if not self._last.is_eof():
            return "body"
        if self._unanswered:
            return "busy"
        return "idle" if self._watch.since is None else "head"

    def _is_held_back(self) -> bool:
        """Returns whether the client may be waiting for 100 Continue."""
        request = self.request_in_progress
        return request is not None and "Expect" in request.headers

    def _came(self, message: object, body: StreamReader) -> None:
        """Notes a complete head of a request, or an error instead of one."""
        self._watch.since, self._head = None, 0
        self._watch.wait(self._watch.received, self._host.limits)
        if not isinstance(message, RawRequestMessage):
            # aiohttp's frame and its error refer to each other, and keep all received bytes in memory.
            cast(Any, message).exc.__traceback__ = None
            if not self._last.is_eof():
                self._break_body()
        self._last = body
        self._length = _length(message)

    def _begun(self, size: int) -> None:
        if self._watch.since is None:
            self._watch.since = self._watch.received
        self._head += size
        if self._head > MAX_HEAD:
            self._refuse(whole(self._host.refusal(400, "head-too-large")))

    def _break_body(self) -> None:
        """Ends a body whose rest will never come: aiohttp would let its reader wait."""
        self._last.set_exception(web.RequestPayloadError())
        self.end_lingering()
        self.close()

    def _refuse(self, answer: bytes) -> None:
        """Sends the last answer of the connection, and drops later input.

        If the connection were closed at once, the client could lose the answer.
        """
        self._refused = True
        if self._wire is not None and not self._wire.is_closing():
            self._wire.write(answer)
            if self._wire.can_write_eof():
                self._wire.write_eof()


def whole(response: web.Response) -> bytes:
    """Returns an answer as bytes, for a connection without a readable request."""
    body = cast(bytes, response.body)
    fields = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [
        f"HTTP/1.1 {response.status} {response.reason}",
        *(f"{n}: {v}" for n, v in fields.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def _length(message: object) -> int:
    """Returns the declared length of a request's body; 0 without one."""
    if not isinstance(message, RawRequestMessage) or message.chunked:
        return 0
    length = message.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else 0


def _peer(transport: asyncio.BaseTransport) -> str:
    """Returns the client's address; "" if it has none, as on a Unix socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _ready(transport: asyncio.Transport, held: int) -> Ready:
    """Returns the bytes that wait for the client, in the proxy and in the kernel.

    The kernel may have many, for a slow client or several answers. If the kernel can't report the taken
    bytes, its waiting bytes count only once it is full: else a client that takes less than is added would
    seem to take nothing.
    """
    connected = transport.get_extra_info("socket")
    taken, queued = 0, 0
    if connected is not None:
        with suppress(OSError):
            taken = _acknowledged(connected)
            if held or taken:
                queued = int.from_bytes(ioctl(connected.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
    return Ready(held, held + queued, taken)


def _acknowledged(connected: socket.socket) -> int:
    """Returns all bytes that the client's kernel has ever taken (`tcpi_bytes_acked` of Linux)."""
    if sys.platform != "linux" or connected.family not in _TCP:
        return 0
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.stop)
    return int.from_bytes(info[_ACKED], sys.byteorder)


def _reset(transport: asyncio.Transport) -> None:
    """Resets the connection: an orderly close would wait for a client that takes no bytes."""
    connected = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
