"""aiohttp's server with its own words taken away: what its parser chokes on is never quoted."""

from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.web.responses import plain

# Longer than load balancers keep an idle connection: it is never the proxy that hangs up on a request.
_KEEPALIVE_SECONDS: Final = 75.0
# Where no time is given to drain: aiohttp takes 0 s for ever.
_SOON_SECONDS: Final = 0.01

_log: Final = structlog.get_logger("proxy.protocol")


class QuietHandler(RequestHandler):
    """One connection. aiohttp answers a broken request with the line it could not read, and logs it;
    that line may hold a key or a token."""

    __slots__ = ("_new_id",)

    def __init__(self, server: web.Server, new_id: Callable[[], str], **options: Any) -> None:
        super().__init__(server, **options)
        self._new_id = new_id

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  the quotation
    ) -> web.StreamResponse:
        request_id = self._new_id()
        _log.warning("broken_request", status=status, reason=type(exc).__name__, request_id=request_id)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response = plain(status, "Solicitud incorrecta" if status < 500 else "Error interno")
        response.headers["X-Request-ID"] = request_id
        response.force_close()
        return response


class QuietServer(web.Server):
    """Makes a QuietHandler for each connection."""

    def __init__(self, made: web.Server, new_id: Callable[[], str]) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory)
        self._options = made._kwargs
        self._new_id = new_id

    def __call__(self) -> RequestHandler:
        return QuietHandler(self, self._new_id, loop=self._loop, **self._options)


class QuietRunner(web.AppRunner):
    """An app on a QuietServer; bodies come as they were sent, never decompressed."""

    __slots__ = ("_new_id",)

    def __init__(self, app: web.Application, new_id: Callable[[], str], drain_seconds: float) -> None:
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            shutdown_timeout=max(drain_seconds, _SOON_SECONDS),
        )
        self._new_id = new_id

    async def _make_server(self) -> web.Server:
        return QuietServer(await super()._make_server(), self._new_id)
