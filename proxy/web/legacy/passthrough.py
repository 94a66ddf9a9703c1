"""Legacy mode: relays a request to the legacy server and its answer to the client, bytes unchanged."""

import asyncio
from typing import cast

from aiohttp import web

from proxy.errors import Refusal
from proxy.server.protocol import QuietHandler
from proxy.upstream.legacy.michiq import Michiq
from proxy.web.legacy.plan import Passed, Plan
from proxy.web.legacy.transfer import Transfer

__all__ = ["Passed", "Plan", "pass_through"]


async def pass_through(request: web.Request, michiq: Michiq, plan: Plan) -> tuple[web.StreamResponse, Passed]:
    """Relays a request, and returns the answer, which the client has already.

    Raises Refusal while the client has no byte of an answer. A later failure breaks off the client's
    connection, and its cause is noted: a short body never looks complete. The legacy call ends as soon as
    the client leaves.
    """
    gone = cast(QuietHandler, request.protocol).gone
    passage = Transfer(request, michiq, plan, gone)
    gone.notify = passage.interrupt
    try:
        if gone.is_set():
            passage.interrupt("client-left")
        return await passage.run()
    except asyncio.CancelledError:
        if not passage.was_interrupted():
            raise
    finally:
        gone.notify = None
    return passage.broken_off(Refusal("failed", passage.interrupted_by))
