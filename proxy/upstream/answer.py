"""The body of an upstream's answer: plain JSON, and no more of it than anybody needs (CONTRACT X03)."""

from typing import Final

import aiohttp

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
    return bytes(body)


def _check_type(response: aiohttp.ClientResponse) -> None:
    kind, _ = media_type(response.headers.get("Content-Type", ""))
    if kind != "application/json" and not kind.endswith("+json"):
        raise failures.Garbage
    if any(
        coding.strip().lower() != "identity" for coding in response.headers.getall("Content-Encoding", ())
    ):
        raise failures.Garbage
