"""Reads the body of an upstream's answer: JSON of a limited size (CONTRACT X03)."""

from collections.abc import Sequence
from typing import Final

from proxy.headers import HeaderFields, media_type
from proxy.upstream import failures
from proxy.upstream.codings import BadCoding, TooLong, unpacked
from proxy.upstream.http1.connection import Connection

MAX_ANSWER: Final = 1024 * 1024


async def read_json(connection: Connection, headers: HeaderFields, seconds: float) -> bytes:
    """Returns the bytes of a JSON body.

    Raises one of `failures.FOREIGN` when the body is not JSON, is too large, or when the upstream sends
    nothing for `seconds`.
    """
    _check_type(headers)
    if any(int(length) > MAX_ANSWER for length in headers.values(b"content-length")):
        raise failures.Oversized
    first = await connection.piece(seconds)
    body = first
    if piece := await connection.piece(seconds):
        whole = bytearray(first)
        while piece:
            whole += piece
            if len(whole) > MAX_ANSWER:
                raise failures.Oversized
            piece = await connection.piece(seconds)
        body = bytes(whole)
    if len(body) > MAX_ANSWER:
        raise failures.Oversized
    codings = headers.values(b"content-encoding")
    return _plain(body, [coding.decode("latin-1") for coding in codings]) if codings else body


def _plain(body: bytes, codings: Sequence[str]) -> bytes:
    """Returns the decompressed body.

    The request asks for no compression. A server may compress anyway, and may have made a case by then.
    """
    try:
        return unpacked(body, codings, MAX_ANSWER)
    except TooLong:
        raise failures.Oversized from None
    except BadCoding:
        raise failures.Garbage from None


def _check_type(headers: HeaderFields) -> None:
    said = headers.values(b"content-type")
    if said and said[0] == b"application/json":
        return
    kind, _ = media_type(said[0].decode("latin-1") if said else "")
    if kind != "application/json" and not kind.endswith("+json"):
        raise failures.Garbage
