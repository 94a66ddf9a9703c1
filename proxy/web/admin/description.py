"""Returns the API's own description (contracts/admin.yaml), as it was released."""

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web

import proxy
from proxy.values import Answer
from proxy.web.responses import respond

# The folder of the descriptions: inside the package in a wheel, beside it in a checkout.
_PACKAGE: Final = Path(proxy.__file__).parent
_FOLDERS: Final = (_PACKAGE / "descriptions", _PACKAGE.parent / "contracts")
_MEDIA_TYPE: Final = "application/yaml"  # RFC 9512


async def show(_request: web.Request) -> web.StreamResponse:
    return respond(Answer(200, await asyncio.to_thread(_read), _MEDIA_TYPE))


def _read() -> bytes:
    return next(each for each in _FOLDERS if each.is_dir()).joinpath("admin.yaml").read_bytes()
