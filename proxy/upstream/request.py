"""The request of a call as aiohttp wants it: address, times, and exactly the body that was announced."""

import math
import re
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from yarl import URL

from proxy.upstream.call import ID_PATTERN, Budget, Call
from proxy.values import Content

_ID: Final = re.compile(ID_PATTERN)


def url_of(base: URL, call: Call) -> URL:
    path = call.path
    if call.id is not None:
        # An id that passes needs no quoting, and can't be one of the dots that climb to another path.
        if not _ID.fullmatch(call.id):
            raise ValueError("an id that CONTRACT G03 does not allow")
        path = path.replace("{id}", call.id)
    return base.with_path(base.raw_path.rstrip("/") + path, encoded=True)


def timeout_of(budget: Budget) -> aiohttp.ClientTimeout:
    # aiohttp would round what is as long as its threshold up to the next second.
    return aiohttp.ClientTimeout(
        total=budget.total, connect=budget.connect, sock_read=budget.read, ceil_threshold=math.inf
    )


async def exactly(content: Content) -> AsyncIterator[bytes]:
    """The bytes of a body, whose length is announced already: any other length ends the connection.

    The upstream would wait for what is missing, or take it from whatever comes next on the connection.
    """
    left = content.size
    async for chunk in content.chunks():
        left -= len(chunk)
        yield chunk
    if left:
        raise ValueError("a content of another length than it said")
