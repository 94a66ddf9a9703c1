"""The API's own description (contracts/admin.yaml), as it was released."""

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web

import proxy
from proxy.values import Answer
from proxy.web.responses import respond

# Where the descriptions are: in the wheel inside the package, in a checkout beside it.
_PACKAGE: Final = Path(proxy.__file__).parent
_PLACES: Final = (_PACKAGE / "descriptions", _PACKAGE.parent / "contracts")
_MEDIA_TYPE: Final = "application/yaml"  # RFC 9512


async def show(_request: web.Request) -> web.StreamResponse:
    return respond(Answer(200, await asyncio.to_thread(_read), _MEDIA_TYPE))


def _read() -> bytes:
    return next(place for place in _PLACES if place.is_dir()).joinpath("admin.yaml").read_bytes()
