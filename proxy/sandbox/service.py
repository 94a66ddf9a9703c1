"""The frame of every sandbox app around its routes: recorded calls, faults, refusals, control paths."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.sandbox import faults
from proxy.sandbox.answers import Refuse, Refused, json_answer
from proxy.sandbox.bodies import read_model
from proxy.sandbox.faults import CONTROL_PREFIX, Fault, Faults
from proxy.values import Json


@dataclass(slots=True)
class Call:
    """A call, recorded as soon as its headers are read: `facts` and `status` fill while it is served.

    `headers` are the received bytes, so that a check can see how a name was encoded. `status` is the app's
    answer; None while it works, or when a fault prevented an answer.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    facts: dict[str, Json] = field(default_factory=dict, repr=False)
    status: int | None = None

    def header(self, name: str) -> bytes | None:
        """Returns the raw value of the first header of that name, in whatever case."""
        wanted = name.lower().encode()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def listed(self) -> dict[str, Json]:
        """Returns this call for GET /_sandbox/calls."""
        headers: list[Json] = [[_text(key), _text(value)] for key, value in self.headers]
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": headers,
            "facts": self.facts,
            "status": self.status,
        }


_CALL: Final = web.RequestKey("call", Call)


def note(request: web.Request, **facts: Json) -> None:
    """Adds facts that the app has read to the record of this call."""
    request[_CALL].facts.update(facts)


class Service:
    """One of the three systems: its address once it runs, its faults, and the calls that it got."""

    def __init__(self, refuse: Refuse) -> None:
        self.url = ""
        self.faults = Faults()
        self.calls: list[Call] = []
        self._refuse = refuse

    def application(self, routes: Iterable[web.AbstractRouteDef]) -> web.Application:
        """Returns an aiohttp app of `routes` and the sandbox's own paths, with the middlewares."""
        app = web.Application(
            middlewares=[self._recording(), faults.middleware(self.faults, self._refuse), self._shaping()]
        )
        app.router.add_routes(routes)
        app.router.add_post(f"{CONTROL_PREFIX}faults", self._add_fault)
        app.router.add_delete(f"{CONTROL_PREFIX}faults", self._clear_faults)
        app.router.add_get(f"{CONTROL_PREFIX}calls", self._list_calls)
        return app

    def _recording(self) -> Middleware:
        @web.middleware
        async def recording(request: web.Request, handler: Handler) -> web.StreamResponse:
            call = Call(request.method, request.path, request.query_string, tuple(request.raw_headers))
            request[_CALL] = call
            if not request.path.startswith(CONTROL_PREFIX):
                self.calls.append(call)
            return await handler(request)

        return recording

    def _shaping(self) -> Middleware:
        @web.middleware
        async def shaping(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await self._answer(request, handler)
            request[_CALL].status = answer.status
            return answer

        return shaping

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return self._refuse(refused.status, refused.text)
        except web.HTTPClientError as error:  # of the router: no such path, or not with this method
            answer = self._refuse(error.status, error.reason)
            answer.headers.extend({name: text for name, text in error.headers.items() if name == "Allow"})
            return answer

    async def _add_fault(self, request: web.Request) -> web.Response:
        self.faults.add(await read_model(request, Fault))
        return json_answer({"pending": len(self.faults.pending)})

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return json_answer({"pending": 0})

    async def _list_calls(self, _: web.Request) -> web.Response:
        return json_answer({"calls": [call.listed() for call in self.calls]})


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
