"""Reads the legacy server's own list of encounters, which is merged into ours (CONTRACT L03)."""

import asyncio
from collections.abc import Sequence
from typing import Final

from proxy import jsons
from proxy.errors import UpstreamError
from proxy.headers import HeaderFields, media_type
from proxy.upstream import failures
from proxy.upstream.codings import BadCoding, TooLong, unpacked
from proxy.upstream.legacy.raw import RawAnswer
from proxy.values import Json

MAX_LIST: Final = 8 * 1024 * 1024


async def read_list(answer: RawAnswer) -> list[dict[str, Json]]:
    """Returns the objects of a JSON array. Raises one of `failures.FOREIGN` for any other body."""
    codings = _codings(answer)
    body = bytearray()
    async for piece in answer.chunks():
        body += piece
        if len(body) > MAX_LIST:
            raise failures.Oversized
    # In the event loop, megabytes of JSON would delay every other request.
    value = await asyncio.to_thread(_read, bytes(body), codings)
    if not isinstance(value, list):
        raise failures.Garbage
    encounters = [each for each in value if isinstance(each, dict)]
    if len(encounters) != len(value):
        raise failures.Garbage
    return encounters


def _read(body: bytes, codings: Sequence[str]) -> Json:
    """Returns the JSON; the server may compress it without being asked (CONTRACT X03)."""
    try:
        return jsons.load(unpacked(body, codings, MAX_LIST), rules=jsons.ANSWER)
    except TooLong:
        raise failures.Oversized from None
    except BadCoding:
        raise failures.Garbage from None


def as_own_call(error: UpstreamError) -> UpstreamError:
    """Returns an exchange's error as one of the kinds that flows declare for their own calls."""
    kind = {"legacy_timeout": "upstream_timeout"}.get(error.kind, "upstream_failed")
    if error.status == 401:
        kind = "upstream_unauthorized"
    return UpstreamError(
        kind,
        error.cause,
        status=error.status,
        arrived=error.arrived,
        broken=error.broken,
        hung_up=error.hung_up,
    )


def _codings(answer: RawAnswer) -> list[str]:
    """Returns the content codings of a JSON answer. Raises Garbage when it is not JSON."""
    fields = HeaderFields.of(answer.headers)
    kinds = fields.values(b"content-type")
    if [media_type(kind.decode("latin-1"))[0] for kind in kinds] != ["application/json"]:
        raise failures.Garbage
    return [value.decode("latin-1") for value in fields.values(b"content-encoding")]
