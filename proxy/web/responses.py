"""Makes aiohttp responses of answers, with the headers that a mapping adds."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict

from proxy.flows.answers import text
from proxy.mapping.models import Notice, RouteMapping
from proxy.packed import Packed
from proxy.values import Answer

CAUSE_HEADER: Final = "X-Michiq-Cause"


class _Response(web.Response):
    """A response without aiohttp's `Server` header (CONTRACT G09)."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class _Unpacked(Payload):
    """A compressed body, decompressed piece by piece while the client reads."""

    _value: Packed

    def __init__(self, packed: Packed) -> None:
        super().__init__(packed)
        self._size = packed.size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.read().decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        async for piece in self._value.chunks():
            await writer.write(piece)


def respond(answer: Answer, headers: Iterable[tuple[str, str]] = ()) -> web.Response:
    if isinstance(answer.body, Packed):
        response = _Response(status=answer.status, body=_Unpacked(answer.body))
        response.headers["Content-Length"] = str(answer.size)
    else:
        response = _Response(status=answer.status, body=answer.body)
    response.headers["Content-Type"] = answer.content_type
    for name, value in (*answer.headers, *headers):
        response.headers.add(name, value)
    return response


def empty(status: int, headers: Iterable[tuple[str, str]]) -> web.Response:
    """Makes an answer of a status without a body."""
    return _Response(status=status, headers=CIMultiDict(headers))


def plain(status: int, sentence: str) -> web.Response:
    return respond(text(status, sentence))


def refused(mapping: RouteMapping, kind: str, cause: str) -> Answer:
    """Returns the mapping's answer to a kind of error; the cause is a code without data (CONTRACT G08)."""
    error = mapping.errors[kind]
    headers = [(CAUSE_HEADER, cause)]
    if kind == "wrong_method":
        headers.append(("Allow", ", ".join(allowed(mapping))))
    return text(error.status, error.text, tuple(headers))


def allowed(mapping: RouteMapping) -> tuple[str, ...]:
    """Returns the allowed methods: GET includes HEAD (CONTRACT G02)."""
    return ("GET", "HEAD") if mapping.method == "GET" else (mapping.method,)


def notice_headers(notice: Notice) -> list[tuple[str, str]]:
    """Returns Deprecation (RFC 9745), Sunset (RFC 8594) and Link (RFC 8288), as the mapping sets them."""
    headers: list[tuple[str, str]] = []
    if notice.deprecation:
        headers.append(("Deprecation", f"@{int(_midnight(notice.deprecation).timestamp())}"))
    if notice.sunset:
        headers.append(("Sunset", format_datetime(_midnight(notice.sunset), usegmt=True)))
    headers += [("Link", f'<{url}>; rel="{relation}"') for relation, url in notice.links.items()]
    return headers


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
