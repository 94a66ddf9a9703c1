"""An operator at a proxy's admin listener, who records both sides' messages."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from yarl import URL

from tests.conftest import bearer
from tests.contracts.exchange import Exchange, Message

ANA: Final = "0123456789abcdef"
BEN: Final = "~!#=:{}[]'(&%$)"  # signs that RFC 6750 has no room for
TOKENS: Final = f"ana:{ANA},ben:{BEN}0"
PREFIX: Final = "/admin/v1"
# What no answer is judged by: it belongs to the connection.
_HOP: Final = frozenset({"connection", "date"})


def said(exchange: Exchange) -> Any:
    """Returns the answer's JSON."""
    return json.loads(exchange.answer.body)


@dataclass
class Operator:
    """`token` empty sends none. `paths` begin below the prefix, unless they are whole."""

    http: aiohttp.ClientSession = field(repr=False)
    url: str
    token: str = field(default=ANA, repr=False)
    exchanges: list[Exchange] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None, /, **options: Any) -> Exchange:
        """Sends a request; `body` goes as JSON, or as it is if it is bytes; `headers` replace the token."""
        headers = {**(bearer(self.token) if self.token else {}), **options.pop("headers", {})}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers = {"Content-Type": "application/json", **headers}
        whole = path if path.startswith("/") else f"{PREFIX}/{path}"
        url = URL(f"{self.url}{whole}", encoded=True)
        async with self.http.request(method, url, headers=headers, data=data, **options) as response:
            request = response.request_info
            exchange = Exchange(
                method,
                request.url.raw_path,
                request.url.raw_query_string,
                Message(tuple(request.headers.items()), data or b""),
                response.status,
                Message(
                    tuple(
                        (name, value) for name, value in response.headers.items() if name.lower() not in _HOP
                    ),
                    await response.read(),
                ),
            )
        self.exchanges.append(exchange)
        return exchange

    async def get(self, path: str, **headers: str) -> Exchange:
        return await self.ask("GET", path, headers=headers)

    async def listen(self, path: str, count: int, **headers: str) -> Exchange:
        """Reads so many events of a stream, and goes."""
        url = URL(f"{self.url}{PREFIX}/{path}", encoded=True)
        async with self.http.get(url, headers={**bearer(self.token), **headers}) as response:
            body = b""
            while body.count(b"\n\nevent: ") < count or not body.endswith(b"\n\n"):
                body += await response.content.readany()
            request = response.request_info
            exchange = Exchange(
                "GET",
                request.url.raw_path,
                "",
                Message(tuple(request.headers.items()), b""),
                response.status,
                Message(tuple(response.headers.items()), body),
            )
        self.exchanges.append(exchange)
        return exchange

    async def set_mode(self, route: str, mode: str, seen: str = "*", **more: Any) -> Exchange:
        """Sets a mode, with a reason if none is given, on any revision unless one was `seen`."""
        body = {"mode": mode, "reason": "a try", **more}
        return await self.ask("PUT", f"overrides/{route}", body, headers={"If-Match": seen})

    async def roll_back(self, seen: str = "*", **body: Any) -> Exchange:
        return await self.ask("POST", "rollback", {"reason": "a try", **body}, headers={"If-Match": seen})
