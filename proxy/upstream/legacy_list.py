"""The legacy server's own list of encounters, as it is merged into ours (CONTRACT L03)."""

import asyncio
from typing import Final

from proxy import jsons
from proxy.errors import UpstreamError
from proxy.headers import media_type
from proxy.upstream import failures
from proxy.upstream.raw import RawAnswer, values
from proxy.values import Json

MAX_LIST: Final = 8 * 1024 * 1024


async def read_list(answer: RawAnswer) -> list[dict[str, Json]]:
    """The objects of a JSON array; one of `failures.FOREIGN` where it is anything else."""
    _check_type(answer)
    body = bytearray()
    async for piece in answer.chunks():
        body += piece
        if len(body) > MAX_LIST:
            raise failures.Oversized
    # Megabytes of JSON would hold everybody else up.
    value = await asyncio.to_thread(jsons.load, bytes(body), rules=jsons.ANSWER)
    if not isinstance(value, list):
        raise failures.Garbage
    encounters = [each for each in value if isinstance(each, dict)]
    if len(encounters) != len(value):
        raise failures.Garbage
    return encounters


def as_own_call(error: UpstreamError) -> UpstreamError:
    """An error of an exchange, in the kinds that flows declare for the calls they make themselves."""
    kind = {"legacy_timeout": "upstream_timeout"}.get(error.kind, "upstream_failed")
    if error.status == 401:
        kind = "upstream_unauthorized"
    return UpstreamError(kind, error.cause, status=error.status, arrived=error.arrived)


def _check_type(answer: RawAnswer) -> None:
    kinds = values(answer.headers, b"content-type")
    codings = values(answer.headers, b"content-encoding")
    if [media_type(kind.decode("latin-1"))[0] for kind in kinds] != ["application/json"]:
        raise failures.Garbage
    if any(coding.strip().lower() != b"identity" for coding in codings):
        raise failures.Garbage
