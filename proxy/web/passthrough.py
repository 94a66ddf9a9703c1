"""Legacy mode: a request goes to the legacy server and its answer to the client, bytes untouched."""

import asyncio
from typing import Any, cast

from aiohttp import web

from proxy.errors import Refusal
from proxy.upstream.michiq import Michiq
from proxy.web.passage import Passage
from proxy.web.plan import Passed, Plan
from proxy.web.protocol import QuietHandler

__all__ = ["Passed", "Plan", "pass_through"]


async def pass_through(request: web.Request, michiq: Michiq, plan: Plan) -> tuple[web.StreamResponse, Passed]:
    """The answer, already with the client. Raises Refusal as long as the client has no byte of one.

    What breaks later breaks the client's connection off too, and the cause is noted: a short body is
    never passed off as a whole one. The legacy call ends as soon as the client leaves.
    """
    passage = Passage(request, michiq, plan)
    passing = asyncio.create_task(passage.run(), name="pass-through")
    leaving = asyncio.create_task(cast(QuietHandler, request.protocol).gone.wait(), name="client-leaving")
    both: set[asyncio.Task[Any]] = {passing, leaving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if passing.done() or passage.given:
            return await passing
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    return passage.broken_off(Refusal("failed", "client-left"))
