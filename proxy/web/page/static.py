"""Serves the page's static files, whose addresses have a hash of their content."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import web

from proxy.server.responses import respond
from proxy.values import Answer
from proxy.web.page.errors import PageError

PREFIX: Final = "/static/"

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"  # another content has another address


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the package with its content, media type and hash."""

    body: bytes = field(repr=False)
    media_type: str
    version: str


@cache
def files() -> Mapping[str, StaticFile]:
    """Returns every static file by its name below the folder; no other path is ever opened."""
    found = {}
    for path in sorted(_FOLDER.rglob("*.*")):
        body = path.read_bytes()
        kind = _TYPES[path.suffix]
        found[path.relative_to(_FOLDER).as_posix()] = StaticFile(body, kind, sha256(body).hexdigest()[:16])
    return found


def url_of(name: str) -> str:
    """Returns the address of a static file; raises KeyError for a name that there is not."""
    return f"{PREFIX}{name}?v={files()[name].version}"


async def show(request: web.Request) -> web.StreamResponse:
    found = (await asyncio.to_thread(files)).get(request.match_info["path"])
    if found is None:
        raise PageError(404, "nothing")
    caching = _FOR_EVER if request.query.get("v") == found.version else "no-cache"
    return respond(Answer(200, found.body, found.media_type), [("Cache-Control", caching)])
