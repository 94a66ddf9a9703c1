"""The body of an upstream's answer: JSON, and no more of it than anybody needs (CONTRACT X03)."""

from collections.abc import Iterable
from typing import Final

import aiohttp

from proxy.codings import BadCoding, TooLong, unpacked
from proxy.headers import media_type
from proxy.upstream import failures

MAX_ANSWER: Final = 1024 * 1024


async def read_json(response: aiohttp.ClientResponse) -> bytes:
    """The bytes of a JSON body; one of `failures.FOREIGN` where it is anything else, or too large."""
    _check_type(response)
    if (response.content_length or 0) > MAX_ANSWER:
        raise failures.Oversized
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            raise failures.Oversized
    return _plain(bytes(body), response.headers.getall("Content-Encoding", ()))


def _plain(body: bytes, codings: Iterable[str]) -> bytes:
    """Nothing compressed is asked for; a server that compresses all the same may have made a case."""
    try:
        return unpacked(body, codings, MAX_ANSWER)
    except TooLong:
        raise failures.Oversized from None
    except BadCoding:
        raise failures.Garbage from None


def _check_type(response: aiohttp.ClientResponse) -> None:
    kind, _ = media_type(response.headers.get("Content-Type", ""))
    if kind != "application/json" and not kind.endswith("+json"):
        raise failures.Garbage
