"""Finds the route of a path, also with repeated or trailing slashes (CONTRACT G02)."""

import re
from typing import Final

from aiohttp import web

from proxy.server.aiohttp_private import set_url

_SLASHES: Final = re.compile(r"/{2,}")


class Paths(web.UrlDispatcher):
    """A router for clients that join a base address and a path carelessly.

    Only routing uses the plain path: the target is forwarded unchanged.
    """

    async def resolve(self, request: web.Request) -> web.UrlMappingMatchInfo:
        url = request.rel_url
        if (path := plain_path(url.raw_path)) != url.raw_path:
            set_url(request, url.with_path(path, encoded=True, keep_query=True))
        return await super().resolve(request)


def plain_path(path: str) -> str:
    """Returns the path with single slashes and none at its end; the root is "/"."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"
