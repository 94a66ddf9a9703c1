"""Makes aiohttp responses of answers, with the headers that a mapping adds."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict

from proxy.compressed import Compressed
from proxy.values import Answer


class _Response(web.Response):
    """A response without aiohttp's `Server` header (CONTRACT G09)."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class Streamed(web.StreamResponse):
    """A response that is written piece by piece, without aiohttp's `Server` header."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop("Server", None)


class _Unpacked(Payload):
    """A compressed body, decompressed piece by piece while the client reads."""

    _value: Compressed

    def __init__(self, packed: Compressed) -> None:
        super().__init__(packed)
        self._size = packed.size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.read().decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        async for piece in self._value.chunks():
            await writer.write(piece)


def respond(answer: Answer, headers: Iterable[tuple[str, str]] = ()) -> web.Response:
    if isinstance(answer.body, Compressed):
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
    return respond(Answer(status, sentence.encode(), "text/plain; charset=utf-8"))
