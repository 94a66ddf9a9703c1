"""What aiohttp lets pass and no handler may see: odd versions, targets and framing."""

import re
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, web

# Of all headers together. One of them alone is limited by aiohttp.
MAX_HEAD: Final = 64 * 1024

# Origin form, or absolute form without a user (RFC 9112, section 3.2); a fragment is no part of a target.
_TARGET: Final = re.compile(r"(?:https?://[^/?#@]+)?(?:/[^#]*)?", re.IGNORECASE)


def fault(request: web.BaseRequest) -> str | None:
    """What is wrong with a request that could be read, as a code; None for nothing."""
    if request.version not in (HttpVersion10, HttpVersion11):
        return "version"
    if request.method == "CONNECT" or not request.raw_path or not _TARGET.fullmatch(request.raw_path):
        return "target"
    # Such a client can't know the coding, and who stands before us may not either (RFC 9112, section 6.1).
    if request.version == HttpVersion10 and "Transfer-Encoding" in request.headers:
        return "framing"
    if sum(len(name) + len(value) for name, value in request.raw_headers) > MAX_HEAD:
        return "head-too-large"
    return None
