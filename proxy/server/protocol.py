"""aiohttp's server, hardened: it limits connections and checks each request before the application."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from math import ceil
from typing import Final, TypeAlias, cast

import structlog
from aiohttp import HttpVersion11, web

from proxy.server.aiohttp_private import OpenRunner, handler_options, set_version
from proxy.server.connection import QuietHandler, whole
from proxy.server.limits import Doors, Limits
from proxy.server.request_checks import MAX_HEAD, fault
from proxy.server.responses import plain

__all__ = ["Broken", "Limits", "QuietHandler", "QuietRunner", "QuietServer", "broken_legacy"]

# Longer than a load balancer's own idle timeout, so that the proxy never closes a connection on a request.
_KEEPALIVE_SECONDS: Final = 75.0
# Connections that are checked in one turn: all of a thousand would block the event loop for milliseconds.
_CHECKED_AT_ONCE: Final = 25
# For a drain time of 0: aiohttp reads 0 s as for ever.
_SOON_SECONDS: Final = 0.01

# Makes the answer of this status to a request that can't be read or accepted.
Broken: TypeAlias = Callable[[int], web.Response]

_log: Final = structlog.get_logger("proxy.protocol")


def broken_legacy(status: int) -> web.Response:
    if status == 503:
        return plain(status, "Servicio no disponible")
    return plain(status, "Solicitud incorrecta" if status < 500 else "Error interno")


class QuietServer(web.Server):
    """aiohttp's server with a QuietHandler for each connection, whose time limits it checks.

    It is the `connection.Host` of its connections.
    """

    def __init__(
        self,
        made: web.Server,
        new_id: Callable[[], str],
        broken: Broken,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(self._checked, request_factory=made.request_factory)
        self.limits = limits
        self.clock = clock
        self.doors = Doors(limits)
        self._handle = made.request_handler
        self._options = handler_options(made)
        self._new_id = new_id
        self._broken = broken
        self._turned_away = 0
        self._sweeping = False
        self._unseen: list[QuietHandler] = []  # not yet checked in this round
        self._pause = limits.sweep
        self._ended: Counter[str] = Counter()

    def __call__(self) -> QuietHandler:
        return QuietHandler(self, self, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if not self._sweeping:
            self._sweeping = True
            self._sweep_later()

    def refusal(self, status: int, reason: str) -> web.Response:
        request_id = self._new_id()
        _log.warning("broken_request", status=status, reason=reason, request_id=request_id)
        response = self._broken(status)
        response.headers["X-Request-ID"] = request_id
        response.force_close()
        return response

    def turned_away(self) -> bytes:
        self._turned_away += 1
        response = self._broken(503)
        response.headers.update({"X-Request-ID": self._new_id(), "Retry-After": "1"})
        return whole(response)

    async def _checked(self, request: web.BaseRequest) -> web.StreamResponse:
        """Refuses a bad request, or handles a good one; errors of aiohttp's own handlers are not quoted."""
        if (reason := fault(request)) is not None:
            set_version(request, HttpVersion11)
            return self.refusal(400, reason)
        forwarded_for = request.headers.getall("X-Forwarded-For", ())
        with self.doors.request(request.remote or "", forwarded_for) as admitted:
            if not admitted:
                return self.refusal(503, "too-many-requests")
            try:
                return await self._handle(request)
            except web.HTTPException as error:
                return self.refusal(error.status, type(error).__name__)

    def _sweep_later(self) -> None:
        self._loop.call_later(self._pause, self._sweep)

    def _sweep(self) -> None:
        """Ends the connections whose clients have used up their time; a round checks all of them."""
        if not self._unseen:
            self._unseen = [cast(QuietHandler, each) for each in self.connections]
            self._pause = self.limits.sweep / max(1, ceil(len(self._unseen) / _CHECKED_AT_ONCE))
        now, crowded = self.clock(), self.doors.crowded
        seen, self._unseen = self._unseen[-_CHECKED_AT_ONCE:], self._unseen[:-_CHECKED_AT_ONCE]
        self._ended.update(why for each in seen if (why := each.overdue(now, crowded=crowded)))
        if not self._unseen:
            self._end_round()
        if self._sweeping:
            self._sweep_later()

    def _end_round(self) -> None:
        ended, self._ended = self._ended, Counter()
        inside = len(self.connections)
        if self._turned_away or any(ended[why] for why in ("head", "body", "reader", "idle")):
            _log.warning("connections_ended", inside=inside, no_room=self._turned_away, **ended)
            self._turned_away = 0
        self._sweeping = inside > 0


class QuietRunner(OpenRunner):
    """A runner of an application on a QuietServer; request bodies are never decompressed."""

    __slots__ = ("_broken", "_clock", "_limits", "_new_id")

    def __init__(
        self,
        app: web.Application,
        new_id: Callable[[], str],
        drain_seconds: float,
        broken: Broken = broken_legacy,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            max_field_size=MAX_HEAD,
            shutdown_timeout=max(drain_seconds, _SOON_SECONDS),
        )
        self._new_id = new_id
        self._broken = broken
        self._limits = limits or Limits()
        self._clock = clock

    def server_for(self, made: web.Server) -> web.Server:
        return QuietServer(made, self._new_id, self._broken, self._limits, self._clock)
