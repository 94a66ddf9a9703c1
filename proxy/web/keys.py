"""The typed keys under which the app keeps its parts."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from proxy.flows.deps import Deps
from proxy.mapping.table import Route, Table
from proxy.web.body import RequestBody

TABLE: Final = web.AppKey("table", Table)
DEPS: Final = web.AppKey("deps", Deps)
WEBHOOK_SECRETS: Final = web.AppKey("webhook_secrets", Sequence[bytes])

# Of one request: its id, its route as the table was when it came in, and why it was refused.
REQUEST_ID: Final = web.RequestKey("request_id", str)
STARTED: Final = web.RequestKey("started", float)
ROUTE: Final = web.RequestKey("route", Route[Any])
BODY: Final = web.RequestKey("body", RequestBody)
CAUSE: Final = web.RequestKey("cause", str)


class Serving:
    """Whether this process takes new requests; false from the first moment of its end."""

    def __init__(self) -> None:
        self.accepting = True

    def stop(self) -> None:
        self.accepting = False


SERVING: Final = web.AppKey("serving", Serving)
