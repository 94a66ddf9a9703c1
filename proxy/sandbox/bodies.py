"""Reads request bodies: counted, with a time limit, and as strict JSON objects."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from proxy.jsons import BadJson, load_object
from proxy.sandbox.answers import BadBody
from proxy.values import Json

READ_SECONDS: Final = 30.0  # for each piece, so that a slow sender of much data is not cut off
JSON_LIMIT: Final = 1024 * 1024

Model = TypeVar("Model", bound=BaseModel)


async def pieces(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """Yields the body piece by piece.

    Raises BadBody when the body is encoded, longer than `limit` bytes, or stops coming.
    """
    if "Content-Encoding" in request.headers:
        raise BadBody(415, "Content-Encoding is not supported")
    seen = 0
    while piece := await _next_piece(request):
        seen += len(piece)
        if seen > limit:
            raise BadBody(413, "The request body is too large")
        yield piece


async def _next_piece(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.content.readany()
    except TimeoutError:
        raise BadBody(408, "The request body did not arrive in time") from None
    except (ConnectionError, web.RequestPayloadError):
        raise BadBody(400, "The request body was cut") from None


async def read(request: web.Request, limit: int = JSON_LIMIT) -> bytes:
    return b"".join([piece async for piece in pieces(request, limit)])


async def read_object(request: web.Request) -> dict[str, Json]:
    """Returns the body as a JSON object. Raises BadBody 400 when it isn't one."""
    try:
        return load_object(await read(request))
    except BadJson as bad:
        raise BadBody(400, f"The request body is not a JSON object ({bad.cause})") from None


async def read_model(request: web.Request, model: type[Model]) -> Model:
    """Returns the body as `model`, strictly. Raises BadBody 400 with the names of fields that don't fit."""
    body = await read(request)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
        raise BadBody(400, faults) from None
