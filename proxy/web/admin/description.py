"""Returns the API's own description (contracts/admin.yaml), as it was released."""

import asyncio
from typing import Final

from aiohttp import web

from proxy import shipped
from proxy.server.responses import respond
from proxy.values import Answer

_MEDIA_TYPE: Final = "application/yaml"  # RFC 9512


async def show(_request: web.Request) -> web.StreamResponse:
    return respond(Answer(200, await asyncio.to_thread(_read), _MEDIA_TYPE))


def _read() -> bytes:
    return (shipped.descriptions() / "admin.yaml").read_bytes()
