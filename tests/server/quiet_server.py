"""Serves an app as the proxy does, on aiohttp's test server."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.server.protocol import QuietRunner


class QuietTestServer(TestServer):
    """A test server whose connections are a QuietRunner's, which `make` makes of the app."""

    def __init__(self, app: web.Application, make: Callable[[web.Application], QuietRunner]) -> None:
        super().__init__(app)
        self._make = make

    async def _make_runner(self, **_: Any) -> QuietRunner:
        """Returns the runner; aiohttp's own options for one are not the proxy's."""
        return self._make(self.app)
